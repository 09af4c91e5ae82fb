using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig serve` between real QEMUs, driven over QMP by the script that drives QEMU alone.</summary>
[Trait("needs", "qemu")]
public sealed class ServeTests : ReceiverTests
{
    private const string Anywhere = "tcp:127.0.0.1:0";

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData("7.2")]
    [InlineData("11.1")]
    public async Task QEMU_to_service_to_service_to_QEMU_has_the_machine(string profile)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using ServeProcess first = await ServeProcess.StartAsync("--incoming", "defer", "--profile", profile);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--profile", profile);

        await QmpMove.RunAsync(source.Monitor, first.Monitor, Anywhere, "return-path", "pause-before-switchover");
        await QmpMove.RunAsync(first.Monitor, second.Monitor, $"unix:{Work.File("socket")}", "return-path");
        Assert.Equal(("postmigrate", "prelaunch"), (await QmpMove.RunStateAsync(first.Monitor), await QmpMove.RunStateAsync(second.Monitor)));
        await using QemuMachine arrived = await TakeAsync(source, second);
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    /// <summary>max-bandwidth, which would make each migration take a minute, is lifted while it runs.</summary>
    [Theory]
    [InlineData("stop", "cont", "running")]
    [InlineData("cont", "stop", "paused")]
    public async Task The_next_QEMU_runs_the_machine_when_it_ran_at_the_service(string atSource, string atService, string arrives)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 8);
        await source.ContinueAsync();
        await source.Monitor.ExecuteAsync(atSource);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.RunAsync(source.Monitor, service.Monitor, Anywhere, "return-path");
        Assert.Equal(arrives == "paused" ? "running" : "paused", await QmpMove.RunStateAsync(service.Monitor));

        await service.Monitor.ExecuteAsync(atService);
        await SetBandwidthAsync(service, 1 << 16);
        await using QemuMachine next = await QemuMachine.StartAsync(NewMachine("pc", 8) with { Incoming = "defer", Paused = false });
        int from = service.Monitor.Events.Count;
        await service.Monitor.ExecuteAsync("migrate", new { uri = await next.ListenAsync(Anywhere) });
        await service.Monitor.Events.FirstAsync(said => said.Status == "active", from, Deadlines.Migration, "active");
        await SetBandwidthAsync(service, 0);
        Assert.Equal("completed", (await QmpMove.EndAsync(service.Monitor, from)).Status);
        await QmpMove.UntilRunStateAsync(next.Monitor, arrives);
        JsonElement sent = await service.Monitor.ExecuteAsync("query-migrate");
        Assert.InRange(sent.GetProperty("total-time").GetInt32(), 0, 20_000);
    }

    [Theory]
    [InlineData("7.2", "setup active STOP pre-switchover failed RESUME")]
    [InlineData("10.0", "setup active STOP pre-switchover failed RESUME")]
    [InlineData("11.1", "setup active STOP pre-switchover failing RESUME failed")]
    public async Task A_machine_whose_destination_is_lost_runs_again_in_the_profiles_order(string profile, string events)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--profile", profile);
        await QmpMove.TakeSmallMachineAsync(service, Work);
        await QmpMove.EnableAsync(service.Monitor, "pause-before-switchover");
        using Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        int from = service.Monitor.Events.Count;
        await service.Monitor.ExecuteAsync("migrate", new { uri = $"tcp:{listener.LocalEndPoint}" });
        using (await listener.AcceptAsync())
        {
            await service.Monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
        }

        await QmpMove.EndAsync(service.Monitor, from);
        await service.Monitor.Events.FirstAsync(said => said.Name == "RESUME", from, s_soon, "RESUME");
        Assert.Equal(events, string.Join(' ', service.Monitor.Events.Snapshot().Skip(from).Select(said => said.Status ?? said.Name)));
    }

    [Fact]
    public async Task A_machine_is_saved_and_inspected_and_moves_on_after_cont()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.RunAsync(source.Monitor, service.Monitor, Anywhere, "return-path");
        await QmpMove.SendAsync(service.Monitor, $"file:{Work.File("saved")}");
        Assert.Equal("postmigrate", await QmpMove.RunStateAsync(service.Monitor));

        (int exitCode, string output) = await ChildProcess.RunAsync(Executables.Rdmamig, "inspect", Work.File("saved"), "--json");

        Assert.True(exitCode == 0, output);
        using JsonDocument inspected = JsonDocument.Parse(output);
        Assert.StartsWith("pc-i440fx-", inspected.RootElement.GetProperty("machine-type").GetString(), StringComparison.Ordinal);
        JsonElement[] blocks = [.. inspected.RootElement.GetProperty("ram").GetProperty("blocks").EnumerateArray()];
        Assert.Single(blocks, block => block.GetProperty("name").GetString()!.EndsWith(QemuOptions.RamBlockName, StringComparison.Ordinal));
        await Restoration.IsIdenticalAsync(source, Work.File("saved"), Work);

        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => service.Monitor.ExecuteAsync("migrate", new { uri = Anywhere }));
        Assert.Equal("GenericError", refused.ErrorClass);
        await service.Monitor.ExecuteAsync("cont");
        Assert.Equal("running", await QmpMove.RunStateAsync(service.Monitor));
        await using QemuMachine arrived = await TakeAsync(source, service);
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    [Fact]
    public async Task After_a_drop_the_service_waits_for_a_machine_as_at_its_start()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.TakeSmallMachineAsync(service, Work);
        Assert.Equal("completed", await QmpMove.StatusAsync(service.Monitor));

        await service.Monitor.ExecuteAsync("x-rdmamig-drop");
        Assert.Equal("{}", (await service.Monitor.ExecuteAsync("query-migrate")).GetRawText());

        // A name, which is resolved beside the main loop.
        await service.Monitor.ExecuteAsync("migrate-incoming", new { uri = "tcp:localhost:0" });
        Assert.Equal(("inmigrate", "setup"), (await QmpMove.RunStateAsync(service.Monitor), await QmpMove.StatusAsync(service.Monitor)));
    }

    [Fact]
    public async Task A_failed_source_ends_the_service_with_1_unless_told_otherwise()
    {
        await using ServeProcess ends = await ServeProcess.StartAsync("--incoming", "defer");
        await FailAsync(ends, new { uri = Anywhere });
        Assert.Equal(1, await ends.Process.WaitForExitAsync(s_soon));

        await using ServeProcess stays = await ServeProcess.StartAsync("--incoming", "defer");
        string uri = await FailAsync(stays, new Dictionary<string, object> { ["uri"] = Anywhere, ["exit-on-error"] = false });
        Assert.Equal("failed", await QmpMove.StatusAsync(stays.Monitor));
        await using QemuMachine next = await StartSourceAsync("pc", 32);
        int from = stays.Monitor.Events.Count;
        await QmpMove.SendAsync(next.Monitor, uri);
        Assert.Equal("completed", (await QmpMove.EndAsync(stays.Monitor, from)).Status);
    }

    [Theory]
    [InlineData("quit")]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task Quit_and_signals_end_a_service_with_0_and_the_event_SHUTDOWN(string how)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", Anywhere);
        if (how == "quit")
        {
            await service.Monitor.ExecuteAsync("quit");
        }
        else
        {
            await service.SignalAsync(how);
        }

        Assert.Equal(0, await service.Process.WaitForExitAsync(s_soon));
        QmpEvent shutdown = await service.Monitor.Events.FirstAsync(said => said.Name == "SHUTDOWN", 0, s_soon, "SHUTDOWN");
        Assert.Equal(how == "quit" ? "host-qmp-quit" : "host-signal", shutdown.Values.GetProperty("reason").GetString());
    }

    [Fact]
    public async Task Capabilities_cannot_change_during_a_migration_and_limits_can()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        QmpClient monitor = service.Monitor;
        await QmpMove.EnableAsync(monitor, "events");
        string uri = await QmpMove.ListenAsync(monitor, Anywhere);
        // A client that restores what it has saved changes nothing.
        JsonElement before = await monitor.ExecuteAsync("query-migrate-parameters");
        await monitor.ExecuteAsync("migrate-set-parameters", before);
        await monitor.ExecuteAsync("migrate-set-parameters", new Dictionary<string, object> { ["max-bandwidth"] = 1 << 30, ["downtime-limit"] = 200 });

        await using ServeProcess sending = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.TakeSmallMachineAsync(sending, Work);
        await QmpMove.EnableAsync(sending.Monitor, "pause-before-switchover");
        int from = sending.Monitor.Events.Count;
        await sending.Monitor.ExecuteAsync("migrate", new { uri });
        await sending.Monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
        foreach (QmpClient side in (QmpClient[])[sending.Monitor, monitor])
        {
            QmpException runs = await Assert.ThrowsAsync<QmpException>(() => QmpMove.EnableAsync(side, "return-path"));
            Assert.Contains("There's a migration process in progress", runs.Message, StringComparison.Ordinal);
            await side.ExecuteAsync("migrate-set-parameters", new Dictionary<string, object> { ["max-bandwidth"] = 1 << 29 });
        }

        await sending.Monitor.ExecuteAsync("migrate-continue", new { state = "pre-switchover" });
        Assert.Equal("completed", (await QmpMove.EndAsync(sending.Monitor, from)).Status);
        Assert.Equal("completed", (await QmpMove.EndAsync(monitor)).Status);
        await QmpMove.EnableAsync(sending.Monitor, "return-path");
    }

    [Fact]
    public async Task A_cancelled_send_leaves_the_machine_in_the_service_and_the_next_one_has_it()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.RunAsync(source.Monitor, service.Monitor, Anywhere, "return-path");
        await QmpMove.EnableAsync(service.Monitor, "pause-before-switchover");
        await using QemuMachine refusing = await QemuMachine.StartAsync(NewMachine("pc", 64) with { Incoming = "defer" });
        int from = service.Monitor.Events.Count;
        await service.Monitor.ExecuteAsync("migrate", new { uri = await refusing.ListenAsync(Anywhere) });
        await service.Monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
        await service.Monitor.ExecuteAsync("migrate_cancel");
        Assert.Equal("cancelled", (await QmpMove.EndAsync(service.Monitor, from)).Status);

        await using QemuMachine arrived = await TakeAsync(source, service);
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    /// <summary>Starts a QEMU like the source and moves the service's machine into it.</summary>
    private Task<QemuMachine> TakeAsync(QemuMachine source, ServeProcess service) => Restoration.StartLikeAsync(
        source,
        Work.File("arrived.ram"),
        Work,
        "arrived",
        options => QemuMachine.TakeAsync(options, Anywhere, uri => QmpMove.SendAsync(service.Monitor, uri, "pause-before-switchover")));

    private static async Task SetBandwidthAsync(ServeProcess service, int bytesPerSecond) => await service.Monitor.ExecuteAsync(
        "migrate-set-parameters", new Dictionary<string, object> { ["max-bandwidth"] = bytesPerSecond });

    /// <summary>Connects to a service, sends what is no machine, and waits until it has failed. Returns where it listened.</summary>
    private static async Task<string> FailAsync(ServeProcess service, object arguments)
    {
        await QmpMove.EnableAsync(service.Monitor, "events");
        await service.Monitor.ExecuteAsync("migrate-incoming", arguments);
        JsonElement address = (await service.Monitor.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        string port = address.GetProperty("port").GetString()!;
        using TcpClient source = new();
        await source.ConnectAsync("127.0.0.1", int.Parse(port, System.Globalization.CultureInfo.InvariantCulture));
        await source.GetStream().WriteAsync((byte[])[.. "QEVM"u8, 0, 0, 0, 3, .. "no section"u8]);
        source.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal("failed", (await QmpMove.EndAsync(service.Monitor)).Status);
        return $"tcp:127.0.0.1:{port}";
    }
}
