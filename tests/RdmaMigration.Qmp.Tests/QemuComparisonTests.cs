using System.Text.Json;

namespace RdmaMigration.Qmp.Tests;

/// <summary>The same bytes go to a real QEMU and to this server, and the replies are compared.</summary>
public sealed class QemuComparisonTests(QemuFixture qemu) : IClassFixture<QemuFixture>
{
    /// <summary>What the session has negotiated before the input.</summary>
    public enum Negotiated
    {
        Nothing,
        Plain,
        Oob,
    }

    /// <summary>A description that names a place in the input, or is worded otherwise in another version of QEMU, is not compared.</summary>
    public enum Description
    {
        Compared,
        Free,
    }

    private const string End = "end of input";

    public static TheoryData<Negotiated, Description, string> Inputs => new()
    {
        // Negotiation.
        { Negotiated.Nothing, Description.Compared, """{"execute":"query-status","id":1}""" },
        { Negotiated.Nothing, Description.Compared, """{"execute":"no-such-command"}""" },
        { Negotiated.Nothing, Description.Compared, """{"execute":"query-status","extra":1}""" },
        { Negotiated.Nothing, Description.Compared, """{"exec-oob":"query-yank"}""" },
        { Negotiated.Nothing, Description.Compared, """{"execute":"qmp_capabilities","arguments":{"enable":"oob"}}""" },
        { Negotiated.Nothing, Description.Free, """{"execute":"qmp_capabilities","arguments":{"enable":["other"]}}""" },
        { Negotiated.Nothing, Description.Compared, """{"execute":"qmp_capabilities","arguments":{"other":1},"id":2}""" },
        { Negotiated.Nothing, Description.Compared, """{"execute":"qmp_capabilities"}{"execute":"query-status"}""" },
        { Negotiated.Nothing, Description.Compared, """{"execute":"qmp_capabilities","arguments":{"enable":[]}}{"exec-oob":"query-yank"}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"qmp_capabilities","id":3}""" },

        // Out of band.
        { Negotiated.Plain, Description.Compared, """{"exec-oob":"query-yank","id":4}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"query-status","exec-oob":"query-yank"}""" },
        { Negotiated.Oob, Description.Compared, """{"exec-oob":"query-yank","id":5}{"exec-oob":"query-yank"}""" },
        { Negotiated.Oob, Description.Compared, """{"exec-oob":"query-status","id":6}""" },
        { Negotiated.Oob, Description.Compared, """{"exec-oob":"no-such-command","id":7}""" },
        { Negotiated.Oob, Description.Compared, """{"exec-oob":"yank","arguments":{"instances":[]},"id":8}""" },
        { Negotiated.Oob, Description.Compared, """{"exec-oob":"yank"}""" },
        { Negotiated.Oob, Description.Free, """{"execute":"query-status","exec-oob":"query-yank","id":9}""" },
        { Negotiated.Oob, Description.Compared, """{"exec-oob":5}""" },

        // Members.
        { Negotiated.Plain, Description.Compared, """{"execute":"query-status","arguments":{}}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"query-status","arguments":null}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"query-status","arguments":[],"id":10}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"query-status","arguments":{"x":1},"id":11}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"query-status","extra":1,"id":12}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":5,"id":13}""" },
        { Negotiated.Plain, Description.Compared, """{"arguments":{},"id":14}""" },
        { Negotiated.Plain, Description.Compared, "{}" },
        { Negotiated.Plain, Description.Compared, "[] \"text\" null 5\n" },
        { Negotiated.Plain, Description.Compared, """{"execute":"","id":15}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"no-such-command","id":16}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"yank"}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"yank","arguments":{"instances":[1]}}""" },
        { Negotiated.Plain, Description.Compared, """{"execute":"migrate-set-capabilities"}""" },
        {
            Negotiated.Plain, Description.Compared,
            """{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events","state":"on"}]}}"""
        },
        { Negotiated.Plain, Description.Compared, """{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events"}]}}""" },
        {
            Negotiated.Plain, Description.Compared,
            """{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events","x":1,"state":true}]}}"""
        },

        // Ids.
        {
            Negotiated.Plain, Description.Compared,
            """{"execute":"query-status","id":null}{"execute":"query-status","id":1.50}{"execute":"query-status","id":false}"""
        },
        {
            Negotiated.Plain, Description.Compared,
            """{"execute":"query-status","id":{"a":[1,null]}}{"execute":"query-status","id":123456789012345678901234567890}"""
        },
        { Negotiated.Plain, Description.Compared, """{"execute":"query-status","id":"\u00e9\ud83d\ude00\u0000\"\\"}""" },

        // Where texts end.
        { Negotiated.Plain, Description.Compared, """{'execute':'query-status','id':'it\'s "quoted"'}""" },
        { Negotiated.Plain, Description.Compared, "{\"execute\":\"query-status\",\n\r\t \"id\":17}\r" },
        { Negotiated.Plain, Description.Compared, "\n\n  \r\n" },
        { Negotiated.Plain, Description.Compared, string.Concat(Enumerable.Range(20, 8).Select(id => $$"""{"execute":"query-status","id":{{id}}}""")) },
        { Negotiated.Plain, Description.Compared, """{"execute":"query-status","id":18}{"execute":"no-such-command","id":19}{"execute":"query-status"}""" },

        // Malformed texts.
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","execute":"query-name","id":30}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":{"a":1,"a":2}}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":31,}""" },
        { Negotiated.Plain, Description.Free, """{"execute" "query-status"}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status"]""" },
        { Negotiated.Plain, Description.Free, "}" },
        { Negotiated.Plain, Description.Free, "nonsense\n" },
        { Negotiated.Plain, Description.Free, "{\"execute\":\"query-status\",\"id\":\"unterm\n" },
        { Negotiated.Plain, Description.Free, "{\"execute\":\"query-status\",\"id\":\"\u00ff\u00fe\"}" },
        { Negotiated.Plain, Description.Free, "{\"execute\":\"query-status\",\"id\":\"\u00c3(\"}" },
        { Negotiated.Plain, Description.Free, "\u00ff" },
        { Negotiated.Plain, Description.Free, "{\"execute\":\"query-status\",\"id\":\"a\u0000b\"}" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":"\ud800"}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":"\x"}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":01}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":-}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":+1}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":NaN}""" },
        { Negotiated.Plain, Description.Free, """{"execute":"query-status","id":1.}""" },
        { Negotiated.Plain, Description.Free, "# comment\n" },
        { Negotiated.Plain, Description.Compared, NestedId(1023) },
    };

    [Theory]
    [MemberData(nameof(Inputs))]
    public async Task Each_line_is_answered_as_QEMU_answers_it(Negotiated negotiated, Description description, string input)
    {
        await using RunningMonitor monitor = new();
        List<Answer> expected = await AskAsync(qemu.Path, negotiated, [input], description);
        List<Answer> answered = await AskAsync(monitor.Path, negotiated, [input], description);
        Assert.Equal(expected, answered);
    }

    [Fact]
    public async Task A_line_in_pieces_is_answered_as_QEMU_answers_it()
    {
        await using RunningMonitor monitor = new();
        string[] pieces = ["{\"exec", "ute\":\"query-sta", "tus\",\"id\":\"split ", "over writes\"", "}{", "\"execute\":\"yank\"}"];
        Assert.Equal(
            await AskAsync(qemu.Path, Negotiated.Plain, pieces, Description.Compared),
            await AskAsync(monitor.Path, Negotiated.Plain, pieces, Description.Compared));
    }

    private static string NestedId(int depth) => $$"""{"execute":"query-status","id":{{new string('[', depth)}}{{new string(']', depth)}}}""";

    /// <summary>Sends the input, then a line that shows its end.</summary>
    private static async Task<List<Answer>> AskAsync(string path, Negotiated negotiated, string[] pieces, Description description)
    {
        await using RawClient client = await RawClient.ConnectAsync(path);
        if (negotiated is Negotiated.Nothing)
        {
            Assert.True((await client.ReadAsync()).TryGetProperty("QMP", out _));
        }
        else
        {
            await client.NegotiateAsync(isOob: negotiated is Negotiated.Oob);
        }

        foreach (string piece in pieces)
        {
            await client.SendAsync(piece);
            await Task.Delay(pieces.Length > 1 ? 5 : 0);
        }

        await client.SendAsync($$"""{{"\n"}}{"execute":"query-status","id":"{{End}}"}""");
        List<Answer> answers = [];
        while (true)
        {
            Answer answer = Answer.From(await client.ReadAsync(), description);
            if (answer.Id == $"\"{End}\"")
            {
                return answers;
            }

            answers.Add(answer);
        }
    }

    private sealed record Answer(bool IsReturn, string? Id, string? Class, string? Description)
    {
        public static Answer From(JsonElement reply, Description description)
        {
            string? id = reply.TryGetProperty("id", out JsonElement value)
                ? value.ValueKind is JsonValueKind.Number ? $"{value.GetDouble():r}" : JsonSerializer.Serialize(value, s_options)
                : null;
            if (reply.TryGetProperty("return", out _))
            {
                return new Answer(IsReturn: true, id, Class: null, Description: null);
            }

            (string? errorClass, string? text) = RawClient.Error(reply);
            return new Answer(IsReturn: false, id, errorClass, description is QemuComparisonTests.Description.Compared ? text : null);
        }

        private static readonly JsonSerializerOptions s_options = new() { MaxDepth = 2048 };
    }
}
