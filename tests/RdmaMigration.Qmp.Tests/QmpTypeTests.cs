using System.Buffers;
using System.Text.Json;

namespace RdmaMigration.Qmp.Tests;

public sealed class QmpTypeTests
{
    private static readonly QmpObject s_address = new(new QmpMember("type", new QmpEnum("inet", "fd")))
    {
        Tag = "type",
        Variants =
        [
            ("inet", new QmpObject(new("host", QmpType.String), QmpMember.Optional("port", new QmpAlternate(QmpType.Integer, QmpType.Null)))),
            ("fd", new QmpObject(new QmpMember("str", QmpType.String))),
        ],
    };

    private static readonly QmpObject s_arguments = new(QmpMember.Optional("addresses", new QmpArray(s_address)));

    [Theory]
    [InlineData("{}", null)]
    [InlineData("""{"addresses":[{"type":"fd","str":"x"},{"host":"h","type":"inet","port":null}]}""", null)]
    [InlineData("""{"addresses":[{"str":"x"}]}""", "Parameter 'addresses[0].type' is missing")]
    [InlineData("""{"addresses":[{"type":"unix"}]}""", "Parameter 'type' does not accept value 'unix'")]
    [InlineData("""{"addresses":[{"type":"inet","str":"x"}]}""", "Parameter 'addresses[0].host' is missing")]
    [InlineData("""{"addresses":[{"type":"fd","str":"x","host":"h"}]}""", "Parameter 'addresses[0].host' is unexpected")]
    [InlineData("""{"addresses":[{"type":"inet","host":"h","port":"1"}]}""", "Invalid parameter type for 'addresses[0].port', expected: integer or null")]
    public void Arguments_are_checked_by_their_types(string json, string? description)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        Assert.Equal(description, Record.Exception(() => s_arguments.CheckArguments(document.RootElement))?.Message);
    }

    [Fact]
    public void A_command_that_reads_other_arguments_than_it_declares_is_a_defect()
    {
        QmpArguments undeclared = new(members: null, s_arguments);
        Assert.Throws<InvalidOperationException>(() => undeclared.OptionalString("other"));
        QmpArguments unread = new(members: null, s_arguments);
        Assert.Throws<InvalidOperationException>(unread.End);
    }

    [Fact]
    public void The_schema_names_each_type_that_it_mentions_once()
    {
        QmpCommand command = new("go", (_, _) => null) { Arguments = s_arguments, Returns = new QmpArray(QmpType.String) };
        ArrayBufferWriter<byte> value = new();
        using (Utf8JsonWriter writer = new(value))
        {
            QmpSchema.Write(writer, [command, command with { Name = "stay", AllowsOob = true }], [new QmpEventType("GONE", QmpObject.Empty)]);
        }

        using JsonDocument document = JsonDocument.Parse(value.WrittenMemory);
        QmpType.Any.Check(document.RootElement, "", "");
        QmpSchema.Type.Check(document.RootElement, "schema", "schema");
        List<string> names = [.. document.RootElement.EnumerateArray().Select(entry => entry.GetProperty("name").GetString()!)];
        Assert.Equal(names.Distinct(), names);
        Assert.Equal(["go", "stay", "GONE"], names.Take(3));
        Assert.Contains("[str]", names);
        Assert.Contains("null", names);
        IEnumerable<string> mentioned = document.RootElement.GetRawText().Split('"').Where(word => word.EndsWith(']') && word.StartsWith('['));
        Assert.Empty(mentioned.Except(names));
    }
}
