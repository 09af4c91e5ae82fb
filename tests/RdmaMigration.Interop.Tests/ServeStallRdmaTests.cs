using System.Diagnostics;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>As <see cref="ServeStallTests"/>, over RDMA: the source is a QEMU that is stopped by SIGSTOP.</summary>
[Trait("needs", "rdma")]
public sealed class ServeStallRdmaTests : ReceiverTests
{
    private const int Mebibytes = 32;
    private const long SlowBytesPerSecond = 2 << 20;

    private static readonly TimeSpan s_stall = TimeSpan.FromSeconds(2);

    /// <summary>
    /// An emulated processor needs some milliseconds for an answer, so the bound is far above the 10 ms of <see cref="ServeStallTests"/>. A monitor that waits
    /// for the source answers after the stall. A QEMU 7.2 in the destination's place is measured beside it.
    /// </summary>
    /// <param name="inRam">The source is stopped while it sends RAM, otherwise when only device state is missing.</param>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Clients_are_answered_while_a_source_is_stopped_in_RAM_or_before_device_state(bool inRam)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        using FiveClients clients = new(service.Socket);
        AnswerTimes ours = await StallAsync(service.Monitor, clients, inRam);

        string[] sockets = FiveClients.Sockets(Work);
        await using QemuMachine qemu = await QemuMachine.StartAsync((NewMachine("pc", Mebibytes) with { Incoming = "defer" }).WithSockets(sockets));
        using FiveClients clientsOfQemu = new(sockets);
        AnswerTimes theirs = await StallAsync(qemu.Monitor, clientsOfQemu, inRam);

        Measured($"{ours}; QEMU 7.2: {theirs}");
        Assert.InRange(ours.P99, TimeSpan.Zero, s_stall / 2);
    }

    /// <summary>Stops the source, asks the destination, and lets the source finish.</summary>
    private async Task<AnswerTimes> StallAsync(QmpClient destination, FiveClients clients, bool inRam)
    {
        await QmpMove.EnableAsync(destination, "events");
        string uri = await QmpMove.ListenAsync(destination, RdmaAddress.NextUri());
        await using QemuMachine source = await StartSourceAsync("pc", Mebibytes, halfZero: false);
        await QmpMove.EnableAsync(source.Monitor, "events");
        if (inRam)
        {
            await source.SetLimitsAsync(SlowBytesPerSecond);
        }
        else
        {
            await source.SetCapabilitiesAsync(("pause-before-switchover", true));
        }

        int from = source.Monitor.Events.Count;
        await source.StartMigrationAsync(uri);
        if (inRam)
        {
            await SentAsync(source, 4 << 20);
        }
        else
        {
            await source.Monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
        }

        await source.Process.SignalAsync("STOP");
        AnswerTimes answers = await clients.AskAsync(s_stall);
        await source.Process.SignalAsync("CONT");
        await source.SetLimitsAsync(RdmaAddress.Unlimited);
        if (!inRam)
        {
            await source.Monitor.ExecuteAsync("migrate-continue", new { state = "pre-switchover" });
        }

        Assert.Equal("completed", (await source.MigrationOutcomeAsync(from)).Status);
        await QmpMove.EndAsync(destination);
        Assert.Equal("completed", await QmpMove.StatusAsync(destination));
        return answers;
    }

    /// <summary>Waits until the source has sent this much of RAM.</summary>
    private static async Task SentAsync(QemuMachine source, long bytes)
    {
        long began = Stopwatch.GetTimestamp();
        while (await TransferredAsync() < bytes)
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < Deadlines.Migration, $"the source has not sent {bytes} bytes");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TestContext.Current.CancellationToken);
        }

        async Task<long> TransferredAsync()
        {
            JsonElement query = await source.Monitor.ExecuteAsync("query-migrate");
            return query.TryGetProperty("ram", out JsonElement ram) ? ram.GetProperty("transferred").GetInt64() : 0;
        }
    }
}
