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
    [Fact]
    public async Task Clients_are_answered_while_a_source_is_stopped_amid_RAM()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        using FiveClients clients = new(service.Socket);
        AnswerTimes ours = await StallAsync(service.Monitor, clients);

        string[] sockets = FiveClients.Sockets(Work);
        await using QemuMachine qemu = await QemuMachine.StartAsync((NewMachine("pc", Mebibytes) with { Incoming = "defer" }).WithSockets(sockets));
        using FiveClients clientsOfQemu = new(sockets);
        AnswerTimes theirs = await StallAsync(qemu.Monitor, clientsOfQemu);

        Measured($"{ours}; QEMU 7.2: {theirs}");
        Assert.InRange(ours.P99, TimeSpan.Zero, s_stall / 2);
    }

    /// <summary>Stops the source while it sends RAM, asks the destination, and lets the source finish.</summary>
    private async Task<AnswerTimes> StallAsync(QmpClient destination, FiveClients clients)
    {
        await QmpMove.EnableAsync(destination, "events");
        string uri = await QmpMove.ListenAsync(destination, RdmaAddress.NextUri());
        await using QemuMachine source = await StartSourceAsync("pc", Mebibytes, halfZero: false);
        await QmpMove.EnableAsync(source.Monitor, "events");
        await source.SetLimitsAsync(SlowBytesPerSecond);
        int from = source.Monitor.Events.Count;
        await source.StartMigrationAsync(uri);
        long began = Stopwatch.GetTimestamp();
        while (await SentAsync(source) < 4 << 20)
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < Deadlines.Migration, "the source has not sent 4 MiB");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TestContext.Current.CancellationToken);
        }

        await source.Process.SignalAsync("STOP");
        AnswerTimes answers = await clients.AskAsync(s_stall);
        await source.Process.SignalAsync("CONT");
        await source.SetLimitsAsync(RdmaAddress.Unlimited);
        Assert.Equal("completed", (await source.MigrationOutcomeAsync(from)).Status);
        await QmpMove.EndAsync(destination);
        Assert.Equal("completed", await QmpMove.StatusAsync(destination));
        return answers;
    }

    private static async Task<long> SentAsync(QemuMachine source)
    {
        JsonElement query = await source.Monitor.ExecuteAsync("query-migrate");
        return query.TryGetProperty("ram", out JsonElement ram) ? ram.GetProperty("transferred").GetInt64() : 0;
    }
}
