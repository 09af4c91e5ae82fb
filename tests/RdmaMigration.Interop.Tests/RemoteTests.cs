using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig migrate` and `rdmamig top` at the QMP sockets of real QEMUs and of `rdmamig serve`.</summary>
[Trait("needs", "qemu")]
public sealed class RemoteTests : ReceiverTests
{
    private const string Slow = "16M";

    [Fact]
    public async Task Migrate_moves_a_QEMU_with_the_settings_asked_for_and_reports_the_end()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("pc", 64).WithSocket(Work.File("qmp")));
        await using QemuMachine destination = await StartDestinationAsync(source);
        string uri = await destination.ListenAsync($"unix:{Work.File("move")}");

        (int code, List<JsonElement> lines, string errors) = await RunAsync(
            "migrate", Work.File("qmp"), uri, "--max-bandwidth", Slow, "--downtime-limit", "100", "--parameter", "multifd-channels=3",
            "--capability", "return-path", "--capability", "pause-before-switchover", "--json", "--interval", "0.5");

        Assert.Equal((0, ""), (code, errors));
        Assert.Equal(
            ["setup", "active", "pre-switchover", "device", "completed"],
            lines.Where(line => Name(line) == "MIGRATION").Select(line => Data(line).GetProperty("status").GetString()));
        Assert.Contains(lines, line => Name(line) == "PROGRESS" && Data(line).GetProperty("ram").GetProperty("remaining").GetInt64() > 0);
        JsonElement result = Data(lines[^1]);
        Assert.Equal(("RESULT", "completed", true), (Name(lines[^1]), result.GetProperty("status").GetString(), result.GetProperty("confirmed").GetBoolean()));
        MigrationOutcome outcome = MigrationOutcome.Parse(await source.Monitor.ExecuteAsync("query-migrate"));
        Assert.Equal(outcome.RamTotal, result.GetProperty("ram").GetProperty("total").GetInt64());
        Assert.Equal((long)outcome.TotalTime.TotalMilliseconds, result.GetProperty("total-time").GetInt64());
        Assert.Equal(outcome.Downtime.TotalMilliseconds, result.GetProperty("downtime").GetDouble());
        JsonElement parameters = await source.Monitor.ExecuteAsync("query-migrate-parameters");
        Assert.Equal(
            (16L << 20, 100, 3),
            (parameters.GetProperty("max-bandwidth").GetInt64(), parameters.GetProperty("downtime-limit").GetInt32(),
                parameters.GetProperty("multifd-channels").GetInt32()));
        await destination.MigrationEndAsync(0);
        await Restoration.HasArrivedAsync(source, destination, Work);
    }

    [Fact]
    public async Task A_signal_cancels_the_migration_and_the_machine_stays()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("pc", 64).WithSocket(Work.File("qmp")));
        await using QemuMachine destination = await StartDestinationAsync(source);
        string uri = await destination.ListenAsync($"unix:{Work.File("move")}");
        EventLog<JsonElement> lines = new();
        await using ChildProcess migrate = Start(lines.Add, "migrate", Work.File("qmp"), uri, "--max-bandwidth", "1M", "--json");
        await lines.FirstAsync(line => Name(line) == "MIGRATION" && Data(line).GetProperty("status").GetString() == "active", 0, Deadlines.Start, "active");

        await migrate.SignalAsync("INT");

        Assert.Equal(130, await migrate.WaitForExitAsync(Deadlines.Answer));
        Assert.Equal("cancelled", Data(lines.Snapshot()[^1]).GetProperty("status").GetString());
        Assert.Equal("cancelled", await QmpMove.StatusAsync(source.Monitor));
    }

    [Fact]
    public async Task A_failed_migration_ends_with_1_and_the_reason_that_QEMU_gives()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("pc", 16).WithSocket(Work.File("qmp")));

        (int code, List<JsonElement> lines, _) = await RunAsync("migrate", Work.File("qmp"), $"unix:{Work.File("nothing")}", "--json");

        Assert.Equal(1, code);
        Assert.Equal("failed", Data(lines[^1]).GetProperty("status").GetString());
        Assert.Contains(Work.File("nothing"), Data(lines[^1]).GetProperty("error-desc").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_process_that_dies_ends_the_migration_with_1_and_names_its_socket()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("pc", 64).WithSocket(Work.File("qmp")));
        await using QemuMachine destination = await StartDestinationAsync(source);
        string uri = await destination.ListenAsync($"unix:{Work.File("move")}");
        EventLog<JsonElement> lines = new();
        await using ChildProcess migrate = Start(lines.Add, "migrate", Work.File("qmp"), uri, "--max-bandwidth", "1M", "--json");
        await lines.FirstAsync(line => Name(line) == "MIGRATION" && Data(line).GetProperty("status").GetString() == "active", 0, Deadlines.Start, "active");

        source.Process.KillNow();

        Assert.Equal(1, await migrate.WaitForExitAsync(Deadlines.Answer));
        JsonElement result = Data(lines.Snapshot()[^1]);
        Assert.Equal("Disconnected", result.GetProperty("error-class").GetString());
        Assert.Contains(Work.File("qmp"), result.GetProperty("error-desc").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Top_shows_both_sides_of_a_migration_that_another_client_started()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("pc", 64).WithSocket(Work.File("qmp")));
        await using QemuMachine destination = await StartDestinationAsync(source, Work.File("incoming"));
        string uri = await destination.ListenAsync($"unix:{Work.File("move")}");
        Assert.Equal("destination", await SampleAsync("incoming", "role"));
        await source.SetLimitsAsync(1 << 20);
        await source.StartMigrationAsync(uri);

        await source.Monitor.Events.FirstAsync(seen => seen.Status == "active", 0, Deadlines.Start, "active");
        Assert.Equal(("source", "active"), (await SampleAsync("qmp", "role"), await SampleAsync("qmp", "status")));
        Assert.Equal(("destination", "inmigrate"), (await SampleAsync("incoming", "role"), await SampleAsync("incoming", "run-state")));
        (_, string line) = await ChildProcess.RunAsync(Executables.Rdmamig, "top", Work.File("qmp"), "--once");
        Assert.StartsWith("source, paused, active: ", line.Replace("prelaunch", "paused", StringComparison.Ordinal), StringComparison.Ordinal);
        await source.Monitor.ExecuteAsync("migrate_cancel");
    }

    [Fact]
    public async Task Migrate_and_top_drive_a_service_as_they_drive_QEMU()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("pc", 16).WithSocket(Work.File("qmp")));
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", $"unix:{Work.File("service")}", "--paused");
        await using QemuMachine destination = await StartDestinationAsync(source);
        string uri = await destination.ListenAsync($"unix:{Work.File("move")}");

        Assert.Equal(0, (await RunAsync("migrate", Work.File("qmp"), $"unix:{Work.File("service")}", "--json")).Code);
        await QmpMove.UntilRunStateAsync(service.Monitor, "prelaunch");
        (int code, List<JsonElement> lines, string errors) = await RunAsync("migrate", service.Socket, uri, "--capability", "return-path", "--json");
        Assert.True(code == 0, errors);
        Assert.True(Data(lines[^1]).GetProperty("confirmed").GetBoolean());
        (_, List<JsonElement> sample, _) = await RunAsync("top", service.Socket, "--once", "--json");
        Assert.Equal("completed", Data(sample[0]).GetProperty("status").GetString());
        await destination.MigrationEndAsync(0);
        await Restoration.HasArrivedAsync(source, destination, Work);
    }

    [Fact]
    public async Task A_monitor_that_serves_another_client_is_reported_after_the_timeout()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("pc", 16).WithSocket(Work.File("qmp")));
        using Socket other = await MonitoredQemu.OccupyAsync(Work.File("qmp"));

        (int code, _, string errors) = await RunAsync("top", Work.File("qmp"), "--greeting-timeout", "0.3");

        Assert.Equal(3, code);
        Assert.Contains(Work.File("qmp"), errors, StringComparison.Ordinal);
        Assert.Contains("0.3 s", errors, StringComparison.Ordinal);
    }

    private Task<QemuMachine> StartDestinationAsync(QemuMachine source, string? monitor = null)
    {
        QemuOptions options = source.Options with { Name = "arrived", MemoryFile = Work.File("arrived.ram"), Incoming = "defer", Paused = true, Extra = [] };
        return QemuMachine.StartAsync(monitor is null ? options : options.WithSocket(monitor));
    }

    private async Task<string?> SampleAsync(string socket, string member)
    {
        (int code, List<JsonElement> lines, string errors) = await RunAsync("top", Work.File(socket), "--once", "--json");
        Assert.Equal((0, "", 1), (code, errors, lines.Count));
        return Data(lines[0]).GetProperty(member).GetString();
    }

    private static async Task<(int Code, List<JsonElement> Lines, string Errors)> RunAsync(params string[] arguments)
    {
        List<JsonElement> lines = [];
        await using ChildProcess process = Start(lines.Add, arguments);
        int code = await process.WaitForExitAsync(Deadlines.Migration);
        return (code, lines, process.Errors);
    }

    private static ChildProcess Start(Action<JsonElement> onLine, params string[] arguments) =>
        ChildProcess.Start("rdmamig", Executables.Rdmamig, arguments, line =>
        {
            using JsonDocument document = JsonDocument.Parse(line);
            onLine(document.RootElement.Clone());
        });

    private static string? Name(JsonElement line) => line.GetProperty("event").GetString();

    private static JsonElement Data(JsonElement line) => line.GetProperty("data");
}
