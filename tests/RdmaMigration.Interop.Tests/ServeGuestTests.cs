using System.Diagnostics;
using System.Text;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig guest --qmp`: a machine that runs in its process, driven over QMP by the script that drives QEMU.</summary>
public sealed class ServeGuestTests : ReceiverTests
{
    private const string Anywhere = "tcp:127.0.0.1:0";

    private static readonly TimeSpan s_bound = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan s_stall = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan s_flood = TimeSpan.FromSeconds(2);

    [Theory]
    [InlineData(Anywhere)]
    [InlineData("unix")]
    public async Task A_running_guest_moves_twice_with_the_events_of_a_QEMU(string channel)
    {
        await using ServeProcess first = await StartAsync("--dirty-rate", "4M");
        await using ServeProcess second = await StartAsync("--incoming", "defer");
        await using ServeProcess third = await StartAsync("--incoming", "defer");
        Assert.Equal(("running", "inmigrate"), (await QmpMove.RunStateAsync(first.Monitor), await QmpMove.RunStateAsync(second.Monitor)));

        await QmpMove.RunAsync(first.Monitor, second.Monitor, Address(channel, "1"), "return-path", "pause-before-switchover");
        await QmpMove.RunAsync(second.Monitor, third.Monitor, Address(channel, "2"), "return-path", "auto-converge");

        Assert.Equal("setup active STOP pre-switchover device completed", Events(first));
        Assert.Equal("setup active RESUME completed setup active STOP device completed", Events(second));
        Assert.Equal("setup active RESUME completed", Events(third));
        int[] passes =
        [
            .. first.Monitor.Events.Snapshot().Where(said => said.Name == "MIGRATION_PASS").Select(said => said.Values.GetProperty("pass").GetInt32()),
        ];
        Assert.Equal(Enumerable.Range(2, passes.Length), passes);
        Assert.Equal(
            ("postmigrate", "postmigrate", "running"),
            (await QmpMove.RunStateAsync(first.Monitor), await QmpMove.RunStateAsync(second.Monitor), await QmpMove.RunStateAsync(third.Monitor)));
        JsonElement sent = await first.Monitor.ExecuteAsync("query-migrate");
        Assert.Equal(passes[^1], sent.GetProperty("ram").GetProperty("dirty-sync-count").GetInt32());
        Assert.InRange(sent.GetProperty("downtime").GetInt64(), 0, sent.GetProperty("total-time").GetInt64());

        // The guest looks at all of its memory before it ends: exit code 1 is a lost write.
        await third.Monitor.ExecuteAsync("quit");
        Assert.Equal(0, await third.Process.WaitForExitAsync(Deadlines.Answer));
    }

    [Fact]
    public async Task Stop_and_cont_stop_and_start_the_program()
    {
        await using ServeProcess guest = await StartAsync("--dirty-rate", "4M");
        await guest.Monitor.ExecuteAsync("stop");
        await guest.Monitor.ExecuteAsync("stop");
        Assert.Equal("paused", await QmpMove.RunStateAsync(guest.Monitor));
        await Assert.ThrowsAsync<QmpException>(() => guest.Monitor.ExecuteAsync("migrate", new { uri = Address("unix", "nobody") }));
        await Assert.ThrowsAsync<QmpException>(() => guest.Monitor.ExecuteAsync("x-rdmamig-drop"));
        await guest.Monitor.ExecuteAsync("cont");
        Assert.Equal(("running", "STOP RESUME"), (await QmpMove.RunStateAsync(guest.Monitor), Events(guest)));
    }

    /// <summary>The guest writes faster than it can be sent, so only a client ends its migration.</summary>
    [Theory]
    [InlineData("migrate_cancel", "setup active cancelling cancelled", "running")]
    [InlineData("migrate-set-parameters", "setup active STOP device completed", "postmigrate")]
    public async Task A_migration_that_does_not_converge_is_cancelled_or_gets_more_downtime(string command, string events, string after)
    {
        await using ServeProcess guest = await StartAsync("--dirty-rate", "0", "--max-bandwidth", "4M");
        await using ServeProcess destination = await StartAsync("--incoming", "defer");
        await QmpMove.EnableAsync(guest.Monitor, "events");
        await guest.Monitor.ExecuteAsync("migrate", new { uri = await QmpMove.ListenAsync(destination.Monitor, Address("unix", "move")) });
        await guest.Monitor.ExecuteAsync("migrate-set-parameters", new Dictionary<string, long> { ["max-bandwidth"] = 1L << 30, ["downtime-limit"] = 0 });
        await guest.Monitor.Events.FirstAsync(said => said.Name == "MIGRATION_PASS", 0, Deadlines.Migration, "MIGRATION_PASS");
        Assert.Equal("active", await QmpMove.StatusAsync(guest.Monitor));
        await Assert.ThrowsAsync<QmpException>(() => guest.Monitor.ExecuteAsync("stop"));
        JsonElement ram = (await guest.Monitor.ExecuteAsync("query-migrate")).GetProperty("ram");
        Assert.InRange(ram.GetProperty("dirty-sync-count").GetInt32(), 2, int.MaxValue);

        await guest.Monitor.ExecuteAsync(command, command == "migrate_cancel" ? null : new Dictionary<string, long> { ["downtime-limit"] = 2_000_000 });

        await QmpMove.EndAsync(guest.Monitor);
        Assert.Equal((events, after), (Events(guest), await QmpMove.RunStateAsync(guest.Monitor)));
    }

    /// <summary>
    /// An answer comes behind the events that its client has not read yet. A QEMU 7.2 is measured beside it. It stops its machine after the first pass when
    /// downtime-limit is 0, or when that pass takes less than the 100 ms after which it knows its bandwidth, so it iterates some 16 times a second here. It
    /// also stops it when other programs keep the processors from its guest for a pass; then its measurement ends early.
    /// </summary>
    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_flood_of_passes_disconnects_a_silent_client_and_the_others_are_answered()
    {
        AnswerTimes[] answers = await FiveClients.MeasureAsync(async () => [await FloodAsync()], s_bound, Measured);
        string[] sockets = FiveClients.Sockets(Work);
        await using QemuMachine source = await StartDirtyingSourceAsync("pc", 32, sockets);
        await source.SetLimitsAsync(64 << 20, downtimeMilliseconds: 1);
        await using QemuMachine destination = await Restoration.StartLikeAsync(
            source,
            Work.File("arrived.ram"),
            Work,
            "arrived",
            options => QemuMachine.StartAsync(options with { Incoming = "defer", Paused = true, Extra = [] }));
        await BeginFloodAsync(source.Monitor, await destination.ListenAsync(Address("unix", "qemu")));
        await source.SetLimitsAsync(128 << 20, downtimeMilliseconds: 1);
        using FiveClients clients = new(sockets);
        long begun = Stopwatch.GetTimestamp();
        AnswerTimes answersOfQemu = await clients.AskUntilAsync(
            reply => !AskingClient.IsActive(reply) || Stopwatch.GetElapsedTime(begun) >= s_flood);
        double seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;

        Measured($"QEMU 7.2: {answersOfQemu}; {clients.Events / seconds:0} events a second for {seconds:0.0} of {s_flood.TotalSeconds:0} s");
        Assert.InRange(answers[0].P99, TimeSpan.Zero, s_bound);
    }

    /// <summary>A QEMU 7.2 in the destination's place is measured beside it.</summary>
    [Theory]
    [InlineData(200, null, null)]
    [InlineData(200_000, null, null)]
    [InlineData(long.MaxValue, "\u000fsynthetic-guest", "\u0005timer")]
    [Trait("needs", "qemu")]
    public async Task Four_clients_of_a_destination_are_answered_within_10_ms_while_its_source_stalls(long bytes, string? device, string? deviceOfQemu)
    {
        AnswerTimes[] answers = await FiveClients.MeasureAsync(
            async () =>
            {
                await using ServeProcess source = await StartAsync("--dirty-rate", "1M");
                await using ServeProcess destination = await StartAsync("--incoming", "defer");
                using FiveClients clients = new(destination.Socket);
                return [await StallAsync(source.Monitor, destination.Monitor, bytes, device, clients)];
            },
            s_bound,
            Measured);

        await using QemuMachine from = await StartSourceAsync("pc", 16);
        await using QemuMachine to = await QemuMachine.StartAsync((NewMachine("pc", 16) with { Incoming = "defer" }).WithSockets(FiveClients.Sockets(Work)));
        using FiveClients clientsOfQemu = new(FiveClients.Sockets(Work));
        Measured($"{answers[0]}; QEMU 7.2: {await StallAsync(from.Monitor, to.Monitor, bytes, deviceOfQemu, clientsOfQemu)}");
        Assert.InRange(answers[0].P99, TimeSpan.Zero, s_bound);
    }

    /// <summary>Holds a migration in its link, asks the destination, and lets it end.</summary>
    private static async Task<AnswerTimes> StallAsync(QmpClient source, QmpClient destination, long bytes, string? mark, FiveClients clients)
    {
        await QmpMove.EnableAsync(source, "events");
        await QmpMove.EnableAsync(destination, "events");
        using HoldingProxy link = new(await QmpMove.ListenAsync(destination, Anywhere))
        {
            HoldsAfter = bytes,
            HoldsAt = mark is null ? null : Encoding.ASCII.GetBytes(mark),
        };
        await source.ExecuteAsync("migrate", new { uri = link.Begin().Uri });
        await link.Held.WaitAsync(Deadlines.Migration, TestContext.Current.CancellationToken);
        AnswerTimes answers = await clients.AskAsync(s_stall);
        link.Release();
        await QmpMove.EndAsync(source);
        await QmpMove.EndAsync(destination);
        Assert.Equal("completed", await QmpMove.StatusAsync(destination));
        return answers;
    }

    /// <summary>Asks a guest that cannot switch over, until it disconnects the client that does not read, and cancels its migration.</summary>
    private async Task<AnswerTimes> FloodAsync()
    {
        await using ServeProcess guest = await ServeProcess.StartGuestAsync("--ram", "1M", "--working-set", "1%", "--dirty-rate", "64M", "--writers", "1");
        await using ServeProcess destination = await ServeProcess.StartGuestAsync("--ram", "1M", "--incoming", "defer");
        string to = await QmpMove.ListenAsync(destination.Monitor, Address("unix", "move"));
        await guest.Monitor.ExecuteAsync("migrate-set-parameters", new Dictionary<string, long> { ["downtime-limit"] = 0 });
        await BeginFloodAsync(guest.Monitor, to);

        // The harness's client parses each event, which takes much of a processor.
        await guest.Monitor.DisposeAsync();

        // The kernel takes some of what the silent client does not read; the rest waits in the process, up to the bound.
        using FiveClients clients = new(guest.Socket);
        long begun = Stopwatch.GetTimestamp();
        AnswerTimes answers = await clients.AskUntilAsync(_ => guest.Process.Errors.Contains("does not read", StringComparison.Ordinal));
        double seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;

        long memory = ProcessFootprint(guest);
        Measured($"{answers}; {clients.Events / seconds:0} events a second for {seconds:0.0} s; resident {memory >> 20} MiB");
        Assert.InRange(memory, 0, 200L << 20);
        await using QmpClient monitor = await guest.ConnectAsync();
        await monitor.ExecuteAsync("migrate_cancel");
        await QmpMove.EndAsync(monitor);
        Assert.Equal("running", await QmpMove.RunStateAsync(monitor));
        return answers;
    }

    /// <summary>Begins a migration that does not end, and waits until it iterates.</summary>
    private static async Task BeginFloodAsync(QmpClient source, string to)
    {
        await QmpMove.EnableAsync(source, "events");
        await source.ExecuteAsync("migrate", new { uri = to });
        await source.Events.FirstAsync(
            said => said.Name == "MIGRATION_PASS" && said.Values.GetProperty("pass").GetInt32() > 1, 0, Deadlines.Migration, "a second pass");
    }

    private static Task<ServeProcess> StartAsync(params string[] options) => ServeProcess.StartGuestAsync(["--ram", "16M", .. options]);

    private string Address(string channel, string name) => channel == "unix" ? $"unix:{Work.File(name)}" : channel;

    private static string Events(ServeProcess process) => string.Join(
        ' ', process.Monitor.Events.Snapshot().Where(said => said.Name != "MIGRATION_PASS").Select(said => said.Status ?? said.Name));

    private static long ProcessFootprint(ServeProcess process)
    {
        using Process running = Process.GetProcessById(process.Process.Id);
        return running.WorkingSet64;
    }
}
