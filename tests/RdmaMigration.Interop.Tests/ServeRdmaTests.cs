using System.Diagnostics;
using System.Net;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>As <see cref="ServeTests"/>, over RDMA.</summary>
[Trait("needs", "rdma")]
public sealed class ServeRdmaTests : ReceiverTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task QEMU_to_service_to_QEMU_has_the_machine(bool pinAll)
    {
        string[] capabilities = pinAll ? ["rdma-pin-all"] : [];
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");

        await QmpMove.RunAsync(source.Monitor, service.Monitor, RdmaAddress.NextUri(), capabilities);
        await using QemuMachine arrived = await Restoration.StartLikeAsync(source, Work.File("arrived.ram"), Work, "arrived", options => QemuMachine.TakeAsync(
            options,
            RdmaAddress.NextUri(),
            uri => QmpMove.SendAsync(service.Monitor, uri, [.. capabilities, "pause-before-switchover"]),
            ("rdma-pin-all", pinAll)));

        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    /// <summary>QEMU connects before it replies, and so the reply has the error.</summary>
    /// <param name="profile">The service's profile.</param>
    /// <param name="release">The Debian whose QEMU has that version; empty for this host's.</param>
    [Theory]
    [InlineData("7.2", "")]
    [InlineData("10.0", "trixie")]
    public async Task Migrate_to_a_port_where_nobody_listens_fails_as_that_of_a_QEMU_does(string profile, string release)
    {
        await using QemuMachine qemu = await QemuMachine.StartAsync(NewMachine(release, "pc", 16) with { Paused = false });
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--profile", profile);
        await QmpMove.TakeSmallMachineAsync(service, Work);

        Assert.Equal(await FailToMigrateAsync(qemu.Monitor), await FailToMigrateAsync(service.Monitor));

        // It can be tried again.
        Assert.Equal(await FailToMigrateAsync(qemu.Monitor), await FailToMigrateAsync(service.Monitor));
    }

    /// <summary>The connection manager looks for a neighbour for 3 s at least. A QEMU answers nobody meanwhile.</summary>
    [Fact]
    public async Task While_migrate_waits_for_a_host_that_is_not_there_others_are_answered_and_can_cancel_it()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await using QmpClient other = await service.ConnectAsync();
        await QmpMove.TakeSmallMachineAsync(service, Work);
        int from = service.Monitor.Events.Count;
        long began = Stopwatch.GetTimestamp();

        Task<QmpException> refused = Assert.ThrowsAsync<QmpException>(() => service.Monitor.ExecuteAsync("migrate", new { uri = Absent() }));
        await service.Monitor.Events.FirstAsync(said => said.Status == "setup", from, Deadlines.Answer, "setup");
        Assert.Equal(("setup", "running"), (await QmpMove.StatusAsync(other), await QmpMove.RunStateAsync(other)));
        Assert.False(refused.IsCompleted);
        await other.ExecuteAsync("migrate_cancel");

        Assert.Contains("cancelled", (await refused).Reason, StringComparison.Ordinal);
        Measured($"cancelled {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms after migrate");
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 0, 10);
        Assert.Equal("setup cancelling cancelled", Statuses(service.Monitor, from));
    }

    /// <summary>A QEMU 10.0 whose listening has failed accepts no further migrate-incoming.</summary>
    [Fact]
    public async Task Migrate_incoming_at_an_address_of_another_host_fails_as_that_of_a_QEMU_and_can_be_tried_again()
    {
        await using QemuMachine qemu = await QemuMachine.StartAsync(NewMachine("pc", 16) with { Incoming = "defer" });
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--profile", "7.2");

        foreach (QmpClient monitor in (QmpClient[])[qemu.Monitor, service.Monitor])
        {
            QmpException refused = await Assert.ThrowsAsync<QmpException>(() => monitor.ExecuteAsync("migrate-incoming", new { uri = Absent() }));
            Measured($"{refused.ErrorClass}: {refused.Reason}");
            Assert.Equal("GenericError", refused.ErrorClass);
            Assert.NotEqual("active", await QmpMove.StatusAsync(monitor));
            await monitor.ExecuteAsync("migrate-incoming", new { uri = RdmaAddress.NextUri() });
        }
    }

    /// <summary>What a failed migrate shows: the class of the error, the events before it, and what the queries answer.</summary>
    private static async Task<string> FailToMigrateAsync(QmpClient monitor)
    {
        int from = monitor.Events.Count;
        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => monitor.ExecuteAsync("migrate", new { uri = RdmaAddress.NextUri() }));
        string events = Statuses(monitor, from);
        JsonElement migration = await monitor.ExecuteAsync("query-migrate");
        Measured($"{refused.ErrorClass}: {refused.Reason}");
        Assert.Equal(refused.Reason, migration.GetProperty("error-desc").GetString());
        return $"{refused.ErrorClass} after {events}; {migration.GetProperty("status")} {await QmpMove.RunStateAsync(monitor)} "
            + string.Join(' ', migration.EnumerateObject().Select(member => member.Name).Order(StringComparer.Ordinal));
    }

    private static string Statuses(QmpClient monitor, int from) =>
        string.Join(' ', monitor.Events.Snapshot().Skip(from).Select(said => said.Status ?? said.Name));

    /// <summary>An address in the device's network that no host has.</summary>
    private static string Absent()
    {
        byte[] address = RdmaAddress.V4.GetAddressBytes();
        address[3] = 99;
        return $"rdma:{new IPAddress(address)}:4444";
    }
}
