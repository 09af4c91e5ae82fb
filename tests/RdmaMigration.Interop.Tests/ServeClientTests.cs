using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig serve` driven by the commands that clients of QEMU send, in their order.</summary>
[Trait("needs", "qemu")]
public sealed class ServeClientTests : ReceiverTests
{
    /// <summary>libvirt 12.8 sets all capabilities that it knows in one command.</summary>
    private static readonly string[] s_capabilities =
    [
        "xbzrle", "auto-converge", "rdma-pin-all", "postcopy-ram", "pause-before-switchover", "late-block-activate", "multifd", "dirty-bitmaps",
        "return-path", "zero-copy-send", "postcopy-preempt", "switchover-ack", "mapped-ram",
    ];

    /// <summary>The parameters that libvirt saves before a migration and sets back after it.</summary>
    private static readonly string[] s_parameters =
    [
        "cpu-throttle-initial", "cpu-throttle-increment", "tls-creds", "tls-hostname", "max-bandwidth", "downtime-limit", "xbzrle-cache-size",
        "max-postcopy-bandwidth", "multifd-channels", "multifd-compression", "multifd-zlib-level", "multifd-zstd-level", "avail-switchover-bandwidth",
        "direct-io",
    ];

    [Fact]
    public async Task Commands_of_libvirt_take_a_machine_and_send_it_on()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("pc", 64) with { Paused = false });
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        QmpClient monitor = service.Monitor;
        await BeginAsync(monitor);
        JsonElement before = await monitor.ExecuteAsync("query-migrate-parameters");
        await SetCapabilitiesAsync(monitor, "late-block-activate", "return-path", "switchover-ack");
        await SetParametersAsync(monitor, """{"tls-creds":"","tls-hostname":""}""");
        await monitor.ExecuteAsync("migrate-incoming", new Dictionary<string, object> { ["uri"] = "tcp:[::]:0", ["exit-on-error"] = false });
        JsonElement address = (await monitor.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        await QmpMove.SendAsync(source.Monitor, $"tcp:[::1]:{address.GetProperty("port").GetString()}", "return-path");
        Assert.Equal("completed", (await QmpMove.EndAsync(monitor)).Status);
        await monitor.ExecuteAsync("query-chardev");
        await monitor.ExecuteAsync("qom-list", new { path = "/machine/peripheral" });
        await monitor.ExecuteAsync("query-block", new { flat = true });
        await monitor.ExecuteAsync("cont");
        await EndAsync(monitor, before);

        await using QemuMachine arrived = await Restoration.StartLikeAsync(
            source,
            Work.File("arrived.ram"),
            Work,
            "arrived",
            options => QemuMachine.TakeAsync(options, "tcp:127.0.0.1:0", uri => SendAsync(monitor, IPEndPoint.Parse(uri["tcp:".Length..]))));
        await service.SignalAsync("TERM");
        Assert.Equal(0, await service.Process.WaitForExitAsync(Deadlines.Answer));
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    [Fact]
    public async Task A_yanked_migration_fails_and_the_machine_stays()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 16);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        QmpClient monitor = service.Monitor;
        object migration = new { instances = new[] { new { type = "migration" } } };
        QmpException nothing = await Assert.ThrowsAsync<QmpException>(() => monitor.ExecuteAsync("yank", migration));
        Assert.Equal("DeviceNotFound", nothing.ErrorClass);
        await QmpMove.RunAsync(source.Monitor, monitor, "tcp:127.0.0.1:0");
        await QmpMove.EnableAsync(monitor, "pause-before-switchover");
        await using QemuMachine destination = await QemuMachine.StartAsync(NewMachine("pc", 16) with { Incoming = "defer" });
        int from = monitor.Events.Count;
        await monitor.ExecuteAsync("migrate", new { uri = await destination.ListenAsync("tcp:127.0.0.1:0") });
        await monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
        Assert.Equal("migration", (await monitor.ExecuteAsync("query-yank"))[0].GetProperty("type").GetString());
        await monitor.ExecuteAsync("yank", migration);

        Assert.Equal("failed", (await QmpMove.EndAsync(monitor, from)).Status);
        Assert.Equal(0, (await monitor.ExecuteAsync("query-yank")).GetArrayLength());
        await using QemuMachine arrived = await Restoration.StartLikeAsync(source, Work.File("arrived.ram"), Work, "arrived", options =>
            QemuMachine.TakeAsync(options, "tcp:127.0.0.1:0", uri => QmpMove.SendAsync(monitor, uri, "pause-before-switchover")));
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    [Theory]
    [InlineData("7.2", "Block Name    PSize              Offset               Used              Total")]
    [InlineData("11.1", "Block Name    PSize              Offset               Used              Total")]
    public async Task The_human_monitor_shows_blocks_and_the_migration(string profile, string header)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 16);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--profile", profile);
        string listening = await HumanAsync(service.Monitor, "info migrate");
        await QmpMove.RunAsync(source.Monitor, service.Monitor, "tcp:127.0.0.1:0");
        string[] blocks = (await HumanAsync(service.Monitor, "info ramblock")).Split("\r\n");
        Assert.Equal(header, blocks[0].Trim());
        string[] expected = [.. (await HumanAsync(source.Monitor, "info ramblock")).Split("\r\n").Skip(1).Select(Sizes).Order(StringComparer.Ordinal)];
        Assert.Equal(expected, blocks.Skip(1).Select(Sizes).Order(StringComparer.Ordinal));
        Assert.Equal("", listening);
        string completed = profile == "7.2" ? "Migration status: completed\r\ntotal time: 0 ms\r\n" : "Status: \t\tcompleted\r\n";
        Assert.Equal(completed, await HumanAsync(service.Monitor, "info migrate"));
    }

    /// <summary>A row of "info ramblock" without the offset.</summary>
    private static string Sizes(string row) => string.Join(' ', row.Split(' ', StringSplitOptions.RemoveEmptyEntries).Where((_, i) => i is 0 or 1 or 2 or 4));

    private static async Task<string> HumanAsync(QmpClient monitor, string line) =>
        (await monitor.ExecuteAsync("human-monitor-command", new Dictionary<string, string> { ["command-line"] = line })).GetString()!;

    /// <summary>What libvirt asks of each QEMU that it starts.</summary>
    private static async Task BeginAsync(QmpClient monitor)
    {
        await monitor.ExecuteAsync("query-migrate-capabilities");
        await QmpMove.EnableAsync(monitor, "events");
        foreach (string query in (string[])["query-chardev", "query-hotpluggable-cpus", "query-cpus-fast"])
        {
            await monitor.ExecuteAsync(query);
        }

        await monitor.ExecuteAsync("qom-list-get", new { paths = (string[])["/machine/unattached/device[0]"] });
        await monitor.ExecuteAsync("query-iothreads");
        await monitor.ExecuteAsync("set-action", new { panic = "pause" });
    }

    /// <summary>The source's part: the connection comes from the client.</summary>
    private static async Task SendAsync(QmpClient monitor, IPEndPoint destination)
    {
        await monitor.ExecuteAsync("query-migrate");
        await monitor.ExecuteAsync("query-named-block-nodes", new { flat = true });
        JsonElement before = await monitor.ExecuteAsync("query-migrate-parameters");
        await SetCapabilitiesAsync(monitor, "pause-before-switchover", "return-path", "switchover-ack");
        await SetParametersAsync(monitor, """{"tls-creds":"","tls-hostname":"","max-bandwidth":9223372036853727232}""");
        using (Socket connection = new(SocketType.Stream, ProtocolType.Tcp))
        {
            await connection.ConnectAsync(destination);
            await monitor.ExecuteAsync("getfd", new { fdname = "migrate" }, connection.SafeHandle);
        }

        int from = monitor.Events.Count;
        await monitor.ExecuteAsync("migrate", new { resume = false, uri = "fd:migrate" });
        await monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
        Assert.Equal("pre-switchover", await QmpMove.StatusAsync(monitor));
        await monitor.ExecuteAsync("migrate-continue", new { state = "pre-switchover" });
        Assert.Equal("completed", (await QmpMove.EndAsync(monitor, from)).Status);
        Assert.Equal("completed", await QmpMove.StatusAsync(monitor));
        await EndAsync(monitor, before);
    }

    private static async Task EndAsync(QmpClient monitor, JsonElement before)
    {
        await SetCapabilitiesAsync(monitor);
        await monitor.ExecuteAsync("migrate-set-parameters", s_parameters.ToDictionary(name => name, name => before.GetProperty(name)));
        Assert.Equal(before.GetRawText(), (await monitor.ExecuteAsync("query-migrate-parameters")).GetRawText());
    }

    private static async Task SetCapabilitiesAsync(QmpClient monitor, params string[] enabled) => await monitor.ExecuteAsync(
        "migrate-set-capabilities",
        new { capabilities = s_capabilities.Select(name => new { capability = name, state = enabled.Contains(name) }).ToArray() });

    private static async Task SetParametersAsync(QmpClient monitor, string parameters)
    {
        using JsonDocument document = JsonDocument.Parse(parameters);
        await monitor.ExecuteAsync("migrate-set-parameters", document.RootElement);
    }
}
