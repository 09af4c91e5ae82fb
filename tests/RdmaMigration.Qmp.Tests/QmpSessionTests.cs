using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using RdmaMigration.Testing;

namespace RdmaMigration.Qmp.Tests;

public sealed class QmpSessionTests
{
    private static readonly (string?, string?) s_notNegotiated = ("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");

    [Fact]
    public async Task A_client_negotiates_once_and_before_all_else()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.ConnectAsync();
        Assert.Equal("oob", (await client.ReadAsync()).GetProperty("QMP").GetProperty("capabilities")[0].GetString());
        Assert.Equal(s_notNegotiated, await client.FailAsync("""{"execute":"query-status"}"""));
        Assert.Equal(s_notNegotiated, await client.FailAsync("""{"execute":"no-such-command"}"""));
        Assert.Equal("GenericError", (await client.FailAsync("""{"execute":"qmp_capabilities","arguments":{"enable":["other"]}}""")).Class);
        Assert.Equal(s_notNegotiated, await client.FailAsync("""{"execute":"query-status"}"""));
        await client.SendAsync("""{"execute":"qmp_capabilities"}""");
        Assert.True((await client.ReadAsync()).TryGetProperty("return", out _));
        Assert.Equal(
            ("CommandNotFound", "Capabilities negotiation is already complete, command ignored"),
            await client.FailAsync("""{"execute":"qmp_capabilities"}"""));
    }

    [Theory]
    [InlineData("null")]
    [InlineData("true")]
    [InlineData("1.50")]
    [InlineData("12345678901234567890")]
    [InlineData("1e400")]
    [InlineData("\"text\"")]
    [InlineData("[1, {}]")]
    [InlineData("{\"a\": [null]}")]
    public async Task An_id_of_any_type_is_repeated(string id)
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        await client.SendAsync($$"""{"execute":"query-status","id":{{id}}}{"execute":"other","id":{{id}}}{"execute":"query-status"}""");
        Assert.Equal($$"""{"return": {"status": "prelaunch", "running": false}, "id": {{id}}}""", await client.ReadLineAsync());
        Assert.StartsWith($$"""{"id": {{id}}, "error": """, await client.ReadLineAsync(), StringComparison.Ordinal);
        Assert.Equal("""{"return": {"status": "prelaunch", "running": false}}""", await client.ReadLineAsync());
    }

    [Fact]
    public async Task A_command_that_waits_holds_up_its_own_client_alone()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        await client.SendAsync("""{"execute":"wait","id":1}{"execute":"wait","arguments":{"fails":true},"id":2}{"execute":"query-status","id":3}""");
        await monitor.AssertAnswersAsync();
        monitor.Awaited.SetResult();
        Assert.Equal("""{"return": {}, "id": 1}""", await client.ReadLineAsync());
        Assert.Equal(("GenericError", "it broke"), RawClient.Error(await client.ReadAsync()));
        Assert.Equal(3, (await client.ReadAsync()).GetProperty("id").GetInt32());
    }

    [Fact]
    public async Task A_deferred_reply_holds_up_its_own_client_alone_and_nothing_out_of_band()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync(isOob: true);
        await client.SendAsync("""{"execute":"begin","id":1}{"execute":"query-status","id":2}""");
        Assert.Equal("STOP", QmpEvent.Parse(await client.ReadAsync()).Name);
        await client.SendAsync("""{"exec-oob":"query-yank","id":"oob"}{"exec-oob":"begin","id":"refused"}""");
        Assert.Equal("oob", (await client.ReadAsync()).GetProperty("id").GetString());
        Assert.Equal(("GenericError", "The command begin does not support OOB"), RawClient.Error(await client.ReadAsync()));
        await monitor.AssertAnswersAsync();
        monitor.Awaited.SetResult();
        Assert.Equal("""{"return": {}, "id": 1}""", await client.ReadLineAsync());
        Assert.Equal(2, (await client.ReadAsync()).GetProperty("id").GetInt32());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_deferred_reply_has_the_error_of_what_was_begun(bool isDefect)
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        await client.SendAsync("""{"execute":"begin"}""");
        Assert.Equal("STOP", QmpEvent.Parse(await client.ReadAsync()).Name);
        monitor.Awaited.SetException(
            isDefect ? new InvalidDataException("it broke") : new QmpException(QmpErrorClass.DeviceNotFound, "it is not there"));
        Assert.Equal(isDefect ? ("GenericError", "it broke") : ("DeviceNotFound", "it is not there"), RawClient.Error(await client.ReadAsync()));
        Assert.Equal(isDefect ? 1 : 0, monitor.Log.At(LogLevel.Error).Count);
    }

    [Fact]
    public async Task A_reply_that_never_comes_does_not_delay_the_end()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        await client.SendAsync("""{"execute":"begin"}""");
        Assert.Equal("STOP", QmpEvent.Parse(await client.ReadAsync()).Name);
        long start = Stopwatch.GetTimestamp();
        await monitor.Listener.DisposeAsync();
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 5);
        Assert.Null(await client.ReadLineAsync());
    }

    [Fact]
    public async Task Lines_are_spelled_as_QEMU_spells_them()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        await client.SendAsync(Encoding.UTF8.GetBytes("{'execute':'query-status','id':'\u00e9\U0001F600<&\\'\\u0000\\u001f\\u007f\\\\, \"a\": b/'}"));
        Assert.Equal(
            """{"return": {"status": "prelaunch", "running": false}, "id": "\u00E9\uD83D\uDE00<&'\u0000\u001F\u007F\\, \"a\": b/"}""",
            await client.ReadLineAsync());
    }

    [Fact]
    public async Task An_event_that_a_command_causes_comes_before_its_reply()
    {
        await using RunningMonitor monitor = new();
        await using RawClient other = await monitor.ConnectAsync();
        await other.ReadAsync();
        await using RawClient client = await monitor.NegotiateAsync();
        DateTimeOffset before = DateTimeOffset.UtcNow;
        for (int i = 0; i < 100; i++)
        {
            await client.SendAsync("""{"execute":"stop"}""");
            QmpEvent stopped = QmpEvent.Parse(await client.ReadAsync());
            Assert.Equal("STOP", stopped.Name);
            Assert.InRange(stopped.Time, before.AddMilliseconds(-1), DateTimeOffset.UtcNow);
            Assert.True((await client.ReadAsync()).TryGetProperty("return", out _));
        }

        // The other client has not negotiated, so none of these reached it.
        Assert.Equal(s_notNegotiated, await other.FailAsync("""{"execute":"stop"}"""));
    }

    [Fact]
    public async Task The_reply_of_quit_arrives_although_the_main_loop_has_ended()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        await client.SendAsync("""{"execute":"quit"}""");
        Assert.Equal("SHUTDOWN", QmpEvent.Parse(await client.ReadAsync()).Name);
        Assert.True((await client.ReadAsync()).TryGetProperty("return", out _));
        monitor.WaitForEnd();
        await client.SendAsync("""{"execute":"query-status"}""");
        Assert.Null(await client.ReadLineAsync());
    }

    [Fact]
    public async Task An_out_of_band_command_overtakes_one_that_is_stuck()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync(isOob: true);
        await client.SendAsync(
            """
            {"execute":"hang","id":"stuck"}{"execute":"query-status","id":"queued"}
            {"exec-oob":"query-yank","id":"oob"}{"exec-oob":"query-status","id":"refused"}
            """);
        Assert.Equal("oob", (await client.ReadAsync()).GetProperty("id").GetString());
        JsonElement refused = await client.ReadAsync();
        Assert.Equal("refused", refused.GetProperty("id").GetString());
        Assert.Equal(("GenericError", "The command query-status does not support OOB"), RawClient.Error(refused));
        monitor.Released.Set();
        Assert.Equal("stuck", (await client.ReadAsync()).GetProperty("id").GetString());
        Assert.Equal("queued", (await client.ReadAsync()).GetProperty("id").GetString());
    }

    [Fact]
    public async Task Pipelined_requests_are_answered_in_order_errors_too()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        string[] requests = [.. Enumerable.Range(0, 40).Select(i => (i % 4) switch
        {
            0 => $$"""{"execute":"query-status","id":{{i}}}""",
            1 => $$"""{"execute":"other","id":{{i}}}""",
            2 => $$"""{"exec-oob":"query-yank","id":{{i}}}""",
            _ => $$"""{"execute":"fail","id":{{i}}}""",
        })];
        await client.SendAsync(string.Concat(requests));
        for (int i = 0; i < requests.Length; i++)
        {
            Assert.Equal(i, (await client.ReadAsync()).GetProperty("id").GetInt32());
        }
    }

    [Fact]
    public async Task Ten_malformed_texts_in_one_write_get_ten_errors_with_oob_enabled()
    {
        // QEMU 7.2 and 11.1 abort here.
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync(isOob: true);
        await client.SendAsync("{\"exec-oob\":\"yank\",e\"arguments\":{\u00ec\"ins\\tances\":[]},\"id\":-1.5e3}\n\u00ff\n{\"execute\":\"query-status\"}");
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal("GenericError", RawClient.Error(await client.ReadAsync()).Class);
        }

        Assert.True((await client.ReadAsync()).TryGetProperty("return", out _));
    }

    [Fact]
    public async Task A_session_reads_no_further_while_eight_requests_wait()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync(isOob: true);
        string queued = string.Concat(Enumerable.Range(0, 8).Select(i => $$"""{"execute":"query-status","id":{{i}}}"""));
        await client.SendAsync("""{"execute":"hang"}""" + queued + """{"exec-oob":"query-yank","id":"overtakes"}""");
        Assert.Equal("overtakes", (await client.ReadAsync()).GetProperty("id").GetString());
        await client.SendAsync("""{"execute":"query-status","id":8}{"exec-oob":"query-yank","id":"waits"}""");
        Task<JsonElement> next = client.ReadAsync();
        await Task.Delay(50);
        Assert.False(next.IsCompleted);
        monitor.Released.Set();
        Assert.True((await next).TryGetProperty("return", out _));
        HashSet<string> ids = [];
        for (int i = 0; i < 10; i++)
        {
            ids.Add((await client.ReadAsync()).GetProperty("id").ToString());
        }

        Assert.Equal(["0", "1", "2", "3", "4", "5", "6", "7", "8", "waits"], ids.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_client_that_reads_no_events_is_disconnected_and_others_are_answered()
    {
        await using RunningMonitor monitor = new();
        await using RawClient silent = await monitor.NegotiateAsync();
        await using RawClient reader = await monitor.NegotiateAsync();
        await using RawClient late = await monitor.ConnectAsync();
        for (int i = 0; i < 20; i++)
        {
            await reader.SendAsync("""{"execute":"flood","arguments":{"events":5000}}""");
            int events = 0;
            while ((await reader.ReadLineAsync())!.Contains("MIGRATION_PASS", StringComparison.Ordinal))
            {
                events++;
            }

            Assert.Equal(5000, events);
        }

        await late.NegotiateAsync();
        await late.SendAsync("""{"execute":"query-status"}""");
        Assert.True((await late.ReadAsync()).TryGetProperty("return", out _));
        string logged = Assert.Single(monitor.Log.At(LogLevel.Warning));
        Assert.Contains($"{QmpOutput.MaximumWaiting}", logged, StringComparison.Ordinal);
        Assert.Contains($"process {Environment.ProcessId} of user", logged, StringComparison.Ordinal);
        Assert.InRange((await silent.ReadToEndAsync()).Count, 0, 99999);
    }

    [Theory]
    [InlineData("fail", "it broke")]
    [InlineData("write-nothing", "a command wrote an incomplete value")]
    [InlineData("ignore-arguments", "ignore-arguments does not check its arguments")]
    public async Task A_defect_of_a_command_is_an_error_for_the_client_and_logged(string command, string description)
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        Assert.Equal(("GenericError", description), await client.FailAsync($$"""{"execute":"{{command}}"}"""));
        Assert.Contains(command, Assert.Single(monitor.Log.At(LogLevel.Error)), StringComparison.Ordinal);
        await monitor.AssertAnswersAsync();
    }

    [Fact]
    public async Task The_table_of_commands_is_listed()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        await client.SendAsync("""{"execute":"query-commands"}{"execute":"query-version"}""");
        List<string?> names = [.. (await client.ReadAsync()).GetProperty("return").EnumerateArray().Select(row => row.GetProperty("name").GetString())];
        Assert.Superset(new HashSet<string?>(["qmp_capabilities", "query-commands", "query-version", "query-yank", "stop"]), new HashSet<string?>(names));
        Assert.Equal(0, (await client.ReadAsync()).GetProperty("return").GetProperty("qemu").GetProperty("major").GetInt32());
    }

    [Fact]
    public async Task Requests_of_a_client_that_has_ended_sending_are_answered()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.ConnectAsync();
        await client.SendAsync("""{"execute":"qmp_capabilities"}{"execute":"query-status","id":1}""");
        client.EndSending();
        Assert.Equal(3, (await client.ReadToEndAsync()).Count);
    }

    [Fact]
    public async Task The_largest_id_is_repeated_and_a_larger_text_ends_the_connection()
    {
        await using RunningMonitor monitor = new();
        await using RawClient client = await monitor.NegotiateAsync();
        string begin = """{"execute":"query-status","id":"x""";
        string id = new('x', QmpFramer.MaximumBytes - begin.Length - 2);
        await client.SendAsync(begin + id + "\"}");
        Assert.Equal(id.Length + 1, (await client.ReadAsync()).GetProperty("id").GetString()!.Length);
        await client.SendAsync(begin + id + "x\"}");
        Assert.Equal("GenericError", RawClient.Error(await client.ReadAsync()).Class);
        Assert.Null(await client.ReadLineAsync());
        Assert.Single(monitor.Log.At(LogLevel.Warning));
        await monitor.AssertAnswersAsync();
    }

    [Fact]
    public async Task A_stuck_main_loop_and_a_client_that_does_not_read_do_not_delay_the_end()
    {
        await using RunningMonitor monitor = new();
        await using RawClient silent = await monitor.NegotiateAsync();
        await using RawClient flooding = await monitor.NegotiateAsync();
        await flooding.SendAsync("""{"execute":"flood","arguments":{"events":20000}}{"execute":"hang"}{"execute":"query-status"}""");
        await flooding.ReadLineAsync();
        long start = Stopwatch.GetTimestamp();
        await monitor.Listener.DisposeAsync();
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 5);
        Assert.Empty(monitor.Log.At(LogLevel.Error));
    }
}
