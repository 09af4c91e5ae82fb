using System.Text.Json;
using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Linux;

namespace RdmaMigration.Cli.Tests;

public sealed class MigrationViewTests : IDisposable
{
    private static readonly MigrationInfo s_half = new()
    {
        Status = MigrationStatus.Active,
        ReachedAt = new DateTimeOffset(2026, 1, 1, 0, 0, 0, 125, TimeSpan.Zero),
        Phase = MigrationPhase.Ram,
        Peer = "10.0.0.6:39412",
        RamTotal = 512 << 20,
        RamTransferred = 256 << 20,
        RamZero = 64 << 20,
        TotalTime = TimeSpan.FromSeconds(4),
    };

    private static readonly MigrationInfo s_completed = s_half with
    {
        Status = MigrationStatus.Completed,
        Phase = MigrationPhase.Idle,
        Machine = "pc-i440fx-7.2",
        RamTransferred = 512 << 20,
        SavedRam = 512 << 20,
        SavedBytes = 300 << 20,
        TotalTime = TimeSpan.FromSeconds(8),
        SaveTime = TimeSpan.FromSeconds(0.5),
        File = "/srv/vm.qemu",
    };

    private static readonly MigrationInfo s_failed = s_half with
    {
        Status = MigrationStatus.Failed,
        ErrorDescription = "the source disconnected: it's gone",
        ErrorClass = FailureReason.Disconnected,
        ErrorLatency = TimeSpan.FromMicroseconds(1500),
    };

    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();

    private Screen Screen => new(_out, _error);

    public void Dispose()
    {
        _out.Dispose();
        _error.Dispose();
    }

    [Fact]
    public void Json_is_one_object_a_line_in_QMPs_form()
    {
        JsonView view = new(Screen, clock: new FixedClock());

        view.Listening("rdma:10.0.0.5:4444");
        view.Changed(s_half);
        view.Progress(s_half);
        view.Message(LogLevel.Warning, "refused 10.9.9.9");

        Assert.Equal(
            """
            {"timestamp":{"seconds":1767225600,"microseconds":250000},"event":"LISTENING","data":{"uri":"rdma:10.0.0.5:4444"}}
            {"timestamp":{"seconds":1767225600,"microseconds":125000},"event":"MIGRATION","data":{"status":"active","peer":"10.0.0.6:39412"}}
            {"timestamp":{"seconds":1767225600,"microseconds":250000},"event":"PROGRESS","data":{"status":"active","phase":"ram","peer":X}}

            """.Replace(
                "X",
                "\"10.0.0.6:39412\",\"total-time\":"
                    + """4000,"ram":{"total":536870912,"transferred":268435456,"remaining":268435456,"zero":67108864,"mbps":536.871}""",
                StringComparison.Ordinal),
            _out.ToString());
        Assert.Equal("rdmamig: refused 10.9.9.9\n", _error.ToString());
    }

    [Fact]
    public void Json_gives_the_result_right_after_the_final_status()
    {
        new JsonView(Screen).Changed(s_completed);

        string[] lines = _out.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["MIGRATION", "RESULT"], lines.Select(line => Event(line).GetProperty("event").GetString()));
        JsonElement result = Event(lines[1]).GetProperty("data");
        Assert.Equal("completed", result.GetProperty("status").GetString());
        Assert.Equal("/srv/vm.qemu", result.GetProperty("file").GetString());
        Assert.Equal("pc-i440fx-7.2", result.GetProperty("machine").GetString());
        Assert.Equal("dynamic", result.GetProperty("mode").GetString());
        Assert.False(result.GetProperty("return-path").GetBoolean());
        Assert.Equal(8000, result.GetProperty("total-time").GetInt64());
        Assert.Equal(500, result.GetProperty("save-time").GetInt64());
        Assert.Equal(300 << 20, result.GetProperty("saved").GetProperty("bytes").GetInt64());
        Assert.Equal(512 << 20, result.GetProperty("ram").GetProperty("transferred").GetInt64());
        Assert.False(result.TryGetProperty("error-desc", out _));
    }

    [Fact]
    public void Json_tells_a_failure_with_its_class_and_how_soon_it_was_seen()
    {
        new JsonView(Screen).Changed(s_failed);

        JsonElement result = Event(_out.ToString().Split('\n')[1]).GetProperty("data");
        Assert.Equal("failed", result.GetProperty("status").GetString());
        Assert.Equal("the source disconnected: it's gone", result.GetProperty("error-desc").GetString());
        Assert.Equal("Disconnected", result.GetProperty("error-class").GetString());
        Assert.Equal(1500, result.GetProperty("error-latency-us").GetInt64());
        Assert.False(result.TryGetProperty("file", out _));
    }

    [Fact]
    public void Lines_go_to_stderr_and_only_the_names_of_complete_captures_to_stdout()
    {
        LinesView view = new(Screen);

        view.Listening("rdma:10.0.0.5:4444");
        view.Changed(s_half with { Status = MigrationStatus.Setup });
        view.Progress(s_half with { RamTransferred = 0, TotalTime = TimeSpan.Zero });
        view.Progress(s_half);
        view.Changed(s_completed);
        view.Changed(s_failed);
        view.Changed(s_failed with { ErrorDescription = "complete in '/srv/.partial'", File = "/srv/.partial" });

        Assert.Equal("/srv/vm.qemu\n/srv/.partial\n", _out.ToString());
        Assert.Equal(
            """
            listening on rdma:10.0.0.5:4444
            10.0.0.6:39412 connected, dynamic
            RAM: 0 B of 512 MiB (0 %), 0:00 elapsed
            RAM: 256 MiB of 512 MiB (50 %), 64 MiB/s, 0:04 elapsed, 0:04 left
            completed: pc-i440fx-7.2 from 10.0.0.6:39412, 512 MiB of RAM in 8.00 s (64 MiB/s, dynamic), saved in 0.50 s: /srv/vm.qemu
            failed: the source disconnected: it's gone (after 4.00 s; nothing was kept)
            failed: complete in '/srv/.partial' (after 4.00 s)

            """, _error.ToString());
    }

    [Fact]
    public void Lines_of_sending_say_what_is_proven_and_never_print_the_file_to_stdout()
    {
        MigrationInfo sending =
            s_half with { IsOutgoing = true, File = "vm.qemu", Uri = "rdma:10.0.0.7:4444", Peer = "10.0.0.7:4444", LoadTime = TimeSpan.FromSeconds(1) };
        MigrationInfo completed =
            sending with { Status = MigrationStatus.Completed, Phase = MigrationPhase.Idle, Machine = "pc-i440fx-7.2", Mode = RamMode.PinAll };
        LinesView view = new(Screen);

        view.Changed(sending with { Status = MigrationStatus.Setup });
        view.Progress(sending with { Phase = MigrationPhase.Loading, LoadedBytes = 0, FileBytes = 300 << 20, TotalTime = TimeSpan.Zero });
        view.Changed(sending);
        view.Progress(sending with { Phase = MigrationPhase.Sending });
        view.Changed(sending with { Status = MigrationStatus.Device });
        view.Changed(completed with { Confirmed = true });
        view.Changed(completed with { Confirmed = false });
        view.Changed(sending with { Status = MigrationStatus.Failed, ErrorDescription = "the destination is gone" });

        Assert.Empty(_out.ToString());
        string[] lines = _error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            [
                "sending vm.qemu to rdma:10.0.0.7:4444",
                "loading: 0 B of 300 MiB (0 %), 0:01 elapsed",
                "10.0.0.7:4444 connected, dynamic",
                "sending: 256 MiB of 512 MiB (50 %), 0:05 elapsed",
                "completed: pc-i440fx-7.2 to 10.0.0.7:4444, 512 MiB of RAM in 4.00 s (64 MiB/s, pin-all); confirmed by the destination",
            ],
            lines[..5]);
        Assert.StartsWith(
            "completed: pc-i440fx-7.2 to 10.0.0.7:4444, 512 MiB of RAM in 4.00 s (64 MiB/s, pin-all); NOT confirmed", lines[5], StringComparison.Ordinal);
        Assert.StartsWith("failed: the destination is gone (after 5.00 s; vm.qemu ", lines[6], StringComparison.Ordinal);
        Assert.Equal(7, lines.Length);
    }

    [Theory]
    [InlineData(true, null, "; confirmed")]
    [InlineData(false, null, "NOT confirmed")]
    [InlineData(false, "/srv/kept.qemu", "/srv/kept.qemu")]
    public void A_relays_line_says_what_is_proven_and_what_is_kept(bool confirmed, string? file, string says)
    {
        new LinesView(Screen).Changed(s_half with
        {
            Status = MigrationStatus.Completed,
            Phase = MigrationPhase.Idle,
            Confirmed = confirmed,
            File = file,
            Destination = s_half with { IsOutgoing = true },
        });

        Assert.Contains(says, _error.ToString(), StringComparison.Ordinal);
        Assert.Equal(file is null ? "" : file + "\n", _out.ToString());
    }

    [Fact]
    public void The_rate_starts_anew_with_the_phase()
    {
        LinesView view = new(Screen);

        view.Progress(s_half);
        view.Progress(
            s_half with { Phase = MigrationPhase.Saving, SavedRam = 400 << 20, TotalTime = TimeSpan.FromSeconds(5), SaveTime = TimeSpan.FromSeconds(1) });

        Assert.EndsWith("saving: 400 MiB of 512 MiB (78 %), 0:06 elapsed\n", _error.ToString(), StringComparison.Ordinal);
    }

    private static JsonElement Event(string line) => JsonDocument.Parse(line).RootElement;

    private sealed class FixedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new(2026, 1, 1, 0, 0, 0, 250, TimeSpan.Zero);
    }
}
