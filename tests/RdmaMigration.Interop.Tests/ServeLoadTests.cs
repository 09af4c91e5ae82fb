using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A machine that arrives or leaves at full rate does not stall the monitor of `rdmamig serve`.</summary>
[Trait("needs", "qemu")]
public sealed class ServeLoadTests : ReceiverTests
{
    private const int Mebibytes = 512;

    private static readonly TimeSpan s_bound = TimeSpan.FromMilliseconds(10);

    /// <summary>A QEMU 7.2 in the service's place is measured beside it.</summary>
    [Fact]
    public async Task Clients_are_answered_within_10_ms_while_a_machine_arrives_and_leaves_at_full_rate()
    {
        AnswerTimes[] ours = await FiveClients.MeasureAsync(
            async () =>
            {
                await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
                using FiveClients clients = new(service.Socket);
                return await PassAsync(service.Monitor, clients);
            },
            s_bound,
            Measured);

        string[] sockets = FiveClients.Sockets(Work);
        await using QemuMachine qemu = await QemuMachine.StartAsync((NewMachine("pc", Mebibytes) with { Incoming = "defer" }).WithSockets(sockets));
        using FiveClients clientsOfQemu = new(sockets);
        AnswerTimes[] theirs = await PassAsync(qemu.Monitor, clientsOfQemu);

        Measured($"arrives: {ours[0]}; QEMU 7.2: {theirs[0]}");
        Measured($"leaves: {ours[1]}; QEMU 7.2: {theirs[1]}");
        Assert.All(ours, answers => Assert.InRange(answers.P99, TimeSpan.Zero, s_bound));
    }

    /// <summary>A machine passes through a process: from a QEMU into it, and from it into a QEMU. The process is asked meanwhile.</summary>
    /// <returns>The answers of the two migrations.</returns>
    private async Task<AnswerTimes[]> PassAsync(QmpClient asked, FiveClients clients)
    {
        await using QemuMachine source = await StartSourceAsync("pc", Mebibytes, halfZero: false);
        AnswerTimes arrives = await MoveAsync(source.Monitor, asked, clients);
        await using QemuMachine destination = await QemuMachine.StartAsync(NewMachine("pc", Mebibytes) with { Incoming = "defer" });
        AnswerTimes leaves = await MoveAsync(asked, destination.Monitor, clients);
        Assert.Equal(-1, GuestMemory.FirstDifference(source.Options.MemoryFile, destination.Options.MemoryFile));
        File.Delete(source.Options.MemoryFile);
        File.Delete(destination.Options.MemoryFile);
        return [arrives, leaves];
    }

    private static async Task<AnswerTimes> MoveAsync(QmpClient source, QmpClient destination, FiveClients clients)
    {
        await QmpMove.EnableAsync(source, "events");
        await QmpMove.EnableAsync(destination, "events");
        await source.ExecuteAsync("migrate-set-parameters", new Dictionary<string, object> { ["max-bandwidth"] = RdmaAddress.Unlimited });
        string uri = await QmpMove.ListenAsync(destination, "tcp:127.0.0.1:0");
        (int from, int fromDestination) = (source.Events.Count, destination.Events.Count);
        await source.ExecuteAsync("migrate", new { uri });
        await source.Events.FirstAsync(said => said.Status == "active", from, Deadlines.Answer, "active");
        await destination.Events.FirstAsync(said => said.Status == "active", fromDestination, Deadlines.Answer, "active");

        AnswerTimes answers = await clients.AskUntilAsync(reply => !AskingClient.IsActive(reply));
        Assert.Equal("completed", (await QmpMove.EndAsync(source, from)).Status);
        Assert.Equal("completed", (await QmpMove.EndAsync(destination, fromDestination)).Status);
        double rate = MigrationOutcome.Parse(await source.ExecuteAsync("query-migrate")).MegabitsPerSecond / 8;
        Measured(string.Create(CultureInfo.InvariantCulture, $"{rate:0} MB/s: {answers}"));
        return answers;
    }
}
