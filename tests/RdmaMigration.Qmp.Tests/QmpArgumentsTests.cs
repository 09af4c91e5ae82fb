using System.Text.Json;

namespace RdmaMigration.Qmp.Tests;

public sealed class QmpArgumentsTests
{
    private static readonly QmpObject s_type = new(
        new("text", QmpType.String),
        QmpMember.Optional("flag", QmpType.Boolean),
        QmpMember.Optional("number", QmpType.Integer),
        QmpMember.Optional("list", new QmpArray(QmpType.String)),
        QmpMember.Optional("object", new QmpObject(new QmpMember("name", QmpType.String))),
        QmpMember.Optional("objects", new QmpArray(new QmpObject(new QmpMember("state", QmpType.Boolean)))));

    [Theory]
    [InlineData("{}", "Parameter 'text' is missing")]
    [InlineData("""{"text":1}""", "Invalid parameter type for 'text', expected: string")]
    [InlineData("""{"text":null}""", "Invalid parameter type for 'text', expected: string")]
    [InlineData("""{"text":"","flag":"on"}""", "Invalid parameter type for 'flag', expected: boolean")]
    [InlineData("""{"text":"","number":1.5}""", "Invalid parameter type for 'number', expected: integer")]
    [InlineData("""{"text":"","number":9223372036854775808}""", "Invalid parameter type for 'number', expected: integer")]
    [InlineData("""{"text":"","number":"1"}""", "Invalid parameter type for 'number', expected: integer")]
    [InlineData("""{"text":"","list":{}}""", "Invalid parameter type for 'list', expected: array")]
    [InlineData("""{"text":"","list":["a",1]}""", "Invalid parameter type for 'list[1]', expected: string")]
    [InlineData("""{"text":"","object":[]}""", "Invalid parameter type for 'object', expected: object")]
    [InlineData("""{"text":"","object":{}}""", "Parameter 'object.name' is missing")]
    [InlineData("""{"text":"","object":{"name":"","x":1}}""", "Parameter 'object.x' is unexpected")]
    [InlineData("""{"text":"","objects":[{"state":true},{}]}""", "Parameter 'objects[1].state' is missing")]
    [InlineData("""{"text":"","objects":[1]}""", "Invalid parameter type for 'objects[0]', expected: object")]
    [InlineData("""{"text":"","objects":[{"state":true,"x":1}]}""", "Parameter 'objects[0].x' is unexpected")]
    [InlineData("""{"text":"","x":1}""", "Parameter 'x' is unexpected")]
    [InlineData("""{"text":"","flag":true,"number":-1,"list":[],"object":{"name":""},"objects":[{"state":false}]}""", null)]
    public void Arguments_fail_as_in_QEMU(string json, string? description)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        Exception? failure = Record.Exception(() =>
        {
            QmpArguments arguments = new(document.RootElement, s_type);
            arguments.RequiredString("text");
            arguments.OptionalBoolean("flag");
            arguments.OptionalInteger("number");
            arguments.OptionalStrings("list");
            arguments.OptionalObject("object")?.RequiredString("name");
            foreach (QmpArguments one in arguments.OptionalObjects("objects") ?? [])
            {
                one.RequiredBoolean("state");
            }

            arguments.End();
        });
        Assert.Equal(description, failure?.Message);
        Assert.True(failure is null or QmpException { ErrorClass: QmpErrorClass.GenericError });
    }
}
