using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig serve` and what operators of a QEMU send: yank, and the human monitor.</summary>
[Trait("needs", "qemu")]
public sealed class ServeClientTests : ReceiverTests
{
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

    [Fact]
    public async Task An_out_of_band_yank_while_RAM_arrives_ends_the_arrival()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 16);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await using QmpClient outOfBand = await service.ConnectAsync(isOob: true);
        await QmpMove.EnableAsync(service.Monitor, "events");
        await service.Monitor.ExecuteAsync(
            "migrate-incoming", new Dictionary<string, object> { ["uri"] = "tcp:127.0.0.1:0", ["exit-on-error"] = false });
        JsonElement address = (await service.Monitor.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        string uri = $"tcp:127.0.0.1:{address.GetProperty("port").GetString()}";
        using (HoldingProxy link = new HoldingProxy(uri) { HoldsAfter = 1 << 20 }.Begin())
        {
            await source.StartMigrationAsync(link.Uri);
            await link.Held.WaitAsync(Deadlines.Migration);
            await service.Monitor.Events.FirstAsync(said => said.Status == "active", 0, Deadlines.Migration, "active");
            JsonElement instances = await outOfBand.ExecuteOutOfBandAsync("query-yank");
            Assert.Equal("migration", Assert.Single(instances.EnumerateArray()).GetProperty("type").GetString());

            await outOfBand.ExecuteOutOfBandAsync("yank", new { instances });

            Assert.Equal("failed", (await QmpMove.EndAsync(service.Monitor)).Status);
        }

        // The machine is still the source's, and the next attempt succeeds.
        Assert.Equal("failed", (await QmpMove.EndAsync(source.Monitor)).Status);
        int from = service.Monitor.Events.Count;
        await QmpMove.SendAsync(source.Monitor, uri);
        Assert.Equal("completed", (await QmpMove.EndAsync(service.Monitor, from)).Status);
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
}
