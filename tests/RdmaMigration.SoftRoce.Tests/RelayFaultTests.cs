using System.Diagnostics;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>
/// The host of a relay loses its power while a guest moves through it. No connection is closed: both other hosts only notice silence. The guest runs on at most
/// one host, and the next move succeeds. Takes minutes, so it is run by hand: `-explicit only -class '*RelayFaultTests'`.
/// </summary>
public sealed class RelayFaultTests(ITestOutputHelper output)
{
    private const int Destination = 1;
    private const int Relay = 2;
    private const int Source = 3;
    private const string ToDestination = "rdma:10.77.0.1:4444";
    private const string ToRelay = "rdma:10.77.0.2:4444";

    /// <summary>The relay waits this long for a paused destination.</summary>
    private static readonly TimeSpan s_connectTimeout = TimeSpan.FromSeconds(60);

    [Fact(Explicit = true)]
    public async Task A_relay_that_is_killed_leaves_the_guest_on_one_host_in_each_phase()
    {
        string options = $"--keepalive-interval {ContainerMove.KeepAlive.TotalSeconds} --json";
        string relay = $"rdmamig relay {ToRelay} {ToDestination} --return-path --connect-timeout {s_connectTimeout.TotalSeconds} --max-bandwidth 1M {options}";
        await using ContainerHosts hosts = await ContainerHosts.StartAsync(
            $"while :; do rdmamig guest --incoming {ToDestination} --for 1 --ram 8M {options}; done",
            $"while :; do {relay}; done",
            $"exec send-out go rdmamig guest --migrate {ToRelay} --after 0 --for 3 --dirty-rate 64K --ram 8M {options}");
        await Task.WhenAll(ListeningAsync(hosts, Destination, 0), ListeningAsync(hosts, Relay, 0));

        // Before the first byte of RAM: the relay still connects to the destination.
        await hosts[Destination].PauseAsync();
        ContainerMove move = await ContainerMove.StartAsync(hosts, Source, "1M");
        await RelayingAsync(move, "connecting", sent: 0);
        await KillRelayAsync(hosts, move, "before RAM", Source);
        Assert.All((await move.EventsAsync(Source)).Where(e => e.Name == "PROGRESS"), e => Assert.Equal(0, ContainerMove.Transferred(e.Values)));
        await move.StayedAsync(running: true);
        await hosts[Destination].UnpauseAsync();
        await move.NotArrivedAsync(Destination);
        await MoveAgainAsync(hosts);

        // In the middle of RAM, at the source's rate.
        move = await ContainerMove.StartAsync(hosts, Source, "1M");
        await move.RamAsync();
        await KillRelayAsync(hosts, move, "while RAM arrives", Source, Destination);
        await move.StayedAsync(running: true);
        await move.NotArrivedAsync(Destination);
        await MoveAgainAsync(hosts);

        // The relay has everything. The source does not know whether the destination has started the guest, so the guest stays stopped.
        move = await ContainerMove.StartAsync(hosts, Source, "100M");
        await RelayingAsync(move, "sending", sent: 1);
        await KillRelayAsync(hosts, move, "while RAM is sent on", Source, Destination);
        await move.StayedAsync(running: false);
        await move.NotArrivedAsync(Destination);
        await MoveAgainAsync(hosts);

        // At completion: the destination has started the guest, and the relay cannot report it, because the source's link is down.
        move = await ContainerMove.StartAsync(hosts, Source, "100M");
        await RelayingAsync(move, "sending", sent: 4 << 20);
        await hosts[Source].SetLinkDownAsync();
        await move.ArrivedAsync(Destination);
        await KillRelayAsync(hosts, move, "at completion", Source);
        await move.StayedAsync(running: false);
        await hosts[Source].SetLinkUpAsync();
        await MoveAgainAsync(hosts);
    }

    private static Task<QmpEvent> ListeningAsync(ContainerHosts hosts, int host, int from) =>
        hosts.EventAsync(host, from, IsListening, Deadlines.Scale(240), "LISTENING");

    private static bool IsListening(QmpEvent reported) => reported.Name == "LISTENING";

    /// <summary>Waits until the relay is in a phase and has sent this many bytes of RAM.</summary>
    private static Task<QmpEvent> RelayingAsync(ContainerMove move, string phase, long sent) => move.EventAsync(
        Relay,
        e => e.Name == "PROGRESS" && e.Values.GetProperty("phase").GetString() == phase
            && (sent == 0 || (e.Values.TryGetProperty("destination", out JsonElement half) && ContainerMove.Transferred(half) >= sent)),
        $"{phase} with {sent} B sent on");

    /// <summary>Starts the relay again, and moves a guest. Afterwards the relay and the destination listen for the next.</summary>
    private static async Task MoveAgainAsync(ContainerHosts hosts)
    {
        int earlier = (await hosts.EventsAsync(Relay)).Length;
        await hosts[Relay].StartAsync();
        await ListeningAsync(hosts, Relay, earlier);
        ContainerMove move = await ContainerMove.StartAsync(hosts, Source, "100M");
        await move.ArrivedAsync(Destination);
        QmpEvent relayed = await move.EventAsync(Relay, ContainerMove.IsResult, "RESULT");
        Assert.Equal(("completed", true), (relayed.Status, relayed.Values.GetProperty("confirmed").GetBoolean()));
        QmpEvent exit = await move.EventAsync(Source, e => e.Name == "EXIT", "EXIT");
        Assert.Equal(0, exit.Values.GetProperty("code").GetInt32());
        await Task.WhenAll(move.EventAsync(Destination, IsListening, "LISTENING"), move.EventAsync(Relay, IsListening, "LISTENING"));
    }

    /// <summary>Kills the relay's container, and waits until these hosts report it.</summary>
    private async Task KillRelayAsync(ContainerHosts hosts, ContainerMove move, string phase, params int[] reporting)
    {
        long start = Stopwatch.GetTimestamp();
        await hosts[Relay].KillAsync();
        await Task.WhenAll(reporting.Select(async host =>
        {
            await move.DetectedAsync(host);
            string name = host == Source ? "source" : "destination";
            output.WriteLine($"relay killed {phase}: the {name} reported it after {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
        }));
    }
}
