using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig guest --qmp`: a machine that runs in its process, driven over QMP by the script that drives QEMU.</summary>
public sealed class ServeGuestTests : ReceiverTests
{
    private const string Anywhere = "tcp:127.0.0.1:0";

    private static readonly TimeSpan s_bound = TimeSpan.FromMilliseconds(10);

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

    /// <summary>Prints how late the answers are: each client gets them behind the events that it has not read yet.</summary>
    [Fact]
    public async Task A_flood_of_passes_disconnects_a_silent_client_and_the_others_are_answered()
    {
        await using ServeProcess guest = await ServeProcess.StartGuestAsync("--ram", "1M", "--working-set", "1%", "--dirty-rate", "0", "--writers", "1");
        await using ServeProcess destination = await ServeProcess.StartGuestAsync("--ram", "1M", "--incoming", "defer");
        using Socket silent = await NegotiateAsync(guest);
        QmpClient[] clients = [guest.Monitor, await guest.ConnectAsync(), await guest.ConnectAsync(), await guest.ConnectAsync()];
        string to = await QmpMove.ListenAsync(destination.Monitor, Address("unix", "move"));
        await guest.Monitor.ExecuteAsync("migrate-set-parameters", new Dictionary<string, long> { ["downtime-limit"] = 0 });
        await QmpMove.EnableAsync(guest.Monitor, "events");
        await guest.Monitor.ExecuteAsync("migrate", new { uri = to });

        // The kernel takes some of it; the rest waits in the process, up to the bound.
        bool IsDisconnected() => guest.Process.Errors.Contains("does not read", StringComparison.Ordinal);
        TimeSpan[] late = await Task.WhenAll(clients.Select(client => AskUntilAsync(client, IsDisconnected)));

        long memory = ProcessFootprint(guest);
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{clients[0].Events.Count} events; query-migrate p99 {late.Max().TotalMilliseconds:0.000} ms; resident {memory >> 20} MiB"));
        Assert.InRange(memory, 0, 200L << 20);
        await guest.Monitor.ExecuteAsync("migrate_cancel");
        await QmpMove.EndAsync(guest.Monitor);
        Assert.Equal("running", await QmpMove.RunStateAsync(guest.Monitor));
        foreach (QmpClient client in clients.Skip(1))
        {
            await client.DisposeAsync();
        }
    }

    /// <summary>A QEMU 7.2 in the destination's place is measured beside it: its monitor serves one client.</summary>
    [Theory]
    [InlineData(200, null, null)]
    [InlineData(200_000, null, null)]
    [InlineData(long.MaxValue, "\u000fsynthetic-guest", "\u0005timer")]
    [Trait("needs", "qemu")]
    public async Task Four_clients_of_a_destination_are_answered_within_10_ms_while_its_source_stalls(long bytes, string? device, string? deviceOfQemu)
    {
        await using ServeProcess source = await StartAsync("--dirty-rate", "1M");
        await using ServeProcess destination = await StartAsync("--incoming", "defer");
        using Socket silent = await NegotiateAsync(destination);
        QmpClient[] clients = [destination.Monitor, await destination.ConnectAsync(), await destination.ConnectAsync(), await destination.ConnectAsync()];
        TimeSpan[] late = await StallAsync(source.Monitor, destination.Monitor, bytes, device, clients);
        foreach (QmpClient client in clients.Skip(1))
        {
            await client.DisposeAsync();
        }

        await using QemuMachine from = await StartSourceAsync("pc", 16);
        await using QemuMachine to = await QemuMachine.StartAsync(NewMachine("pc", 16) with { Incoming = "defer" });
        TimeSpan[] qemu = await StallAsync(from.Monitor, to.Monitor, bytes, deviceOfQemu, [to.Monitor]);

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"query-migrate p99: {late.Max().TotalMilliseconds:0.000} ms with four clients; QEMU 7.2: {qemu[0].TotalMilliseconds:0.000} ms with one");
        Assert.All(late, p99 => Assert.InRange(p99, TimeSpan.Zero, s_bound));
    }

    /// <summary>Holds a migration in its link, asks the destination, and lets it end.</summary>
    /// <returns>The time for each client within which 99 of 100 answers came.</returns>
    private static async Task<TimeSpan[]> StallAsync(QmpClient source, QmpClient destination, long bytes, string? mark, QmpClient[] clients)
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
        TimeSpan[] late = await Task.WhenAll(clients.Select(client => AskUntilAsync(client, () => true)));
        link.Release();
        await QmpMove.EndAsync(source);
        await QmpMove.EndAsync(destination);
        Assert.Equal("completed", await QmpMove.StatusAsync(destination));
        return late;
    }

    private static Task<ServeProcess> StartAsync(params string[] options) => ServeProcess.StartGuestAsync(["--ram", "16M", .. options]);

    private string Address(string channel, string name) => channel == "unix" ? $"unix:{Work.File(name)}" : channel;

    private static string Events(ServeProcess process) => string.Join(
        ' ', process.Monitor.Events.Snapshot().Where(said => said.Name != "MIGRATION_PASS").Select(said => said.Status ?? said.Name));

    private static async Task<Socket> NegotiateAsync(ServeProcess process)
    {
        Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(process.Socket));
        await client.SendAsync("""{"execute": "qmp_capabilities"}"""u8.ToArray());
        return client;
    }

    /// <summary>Asks again and again, 500 times at least, as StalledSourceTests does.</summary>
    /// <returns>The time within which 99 of 100 answers came.</returns>
    private static async Task<TimeSpan> AskUntilAsync(QmpClient client, Func<bool> isOver)
    {
        List<TimeSpan> answers = [];
        using CancellationTokenSource deadline = new(Deadlines.Migration);
        while (answers.Count < 500 || !isOver())
        {
            deadline.Token.ThrowIfCancellationRequested();
            long asked = Stopwatch.GetTimestamp();
            Assert.Equal("active", await QmpMove.StatusAsync(client));
            answers.Add(Stopwatch.GetElapsedTime(asked));
        }

        answers.Sort();
        return answers[(answers.Count * 99 / 100) - 1];
    }

    private static long ProcessFootprint(ServeProcess process)
    {
        using Process running = Process.GetProcessById(process.Process.Id);
        return running.WorkingSet64;
    }
}
