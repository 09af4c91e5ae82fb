using System.Diagnostics;
using System.Text.Json;
using DotNet.Testcontainers.Containers;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>A host fails while a guest moves between two containers. None of these faults closes a connection: the other side only notices silence.</summary>
public sealed class ContainerFaultTests(ITestOutputHelper output)
{
    private const int Destination = 1;
    private const int Source = 2;
    private const string Uri = "rdma:10.77.0.1:4444";

    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(2);

    /// <summary>How long the transport retries: rxe takes about 2 s a retry, and the specification allows a device four times the timeout.</summary>
    private static readonly TimeSpan s_retryTime = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_failed_host_is_detected_and_the_next_move_succeeds()
    {
        string options = $"--ram 16M --keepalive-interval {s_keepAlive.TotalSeconds} --json";
        await using ContainerHosts hosts = await ContainerHosts.StartAsync(
            $"exec rdmamig guest --incoming {Uri} --for 1 {options}",
            $"exec send-out go rdmamig guest --migrate {Uri} --after 0 --dirty-rate 64K {options}");

        // Both sides live, and each loses the other.
        (int source, int destination) = await MoveSlowlyAsync(hosts);
        long start = Stopwatch.GetTimestamp();
        await hosts[Source].DisconnectAsync();
        await Task.WhenAll(
            AssertDetectedAsync(hosts, Destination, destination, start, "the source's network was disconnected"),
            AssertDetectedAsync(hosts, Source, source, start, "the source's network was disconnected"));
        await AssertStayedAsync(hosts, source);
        await hosts[Source].ReconnectAsync();

        // A hung host. It goes on later, and then learns that its destination is gone.
        (source, destination) = await MoveSlowlyAsync(hosts);
        start = Stopwatch.GetTimestamp();
        await hosts[Source].PauseAsync();
        await AssertDetectedAsync(hosts, Destination, destination, start, "the source's container was paused");
        await hosts[Source].UnpauseAsync();
        await AssertStayedAsync(hosts, source);

        // A host that lost its power.
        (source, destination) = await MoveSlowlyAsync(hosts);
        start = Stopwatch.GetTimestamp();
        await hosts[Source].KillAsync();
        await AssertDetectedAsync(hosts, Destination, destination, start, "the source's container was killed");
        await hosts[Source].StartAsync();

        await MoveAsync(hosts, "100M");
        await hosts.EndAsync(Destination).ThrowOnFailure();
        QmpEvent[] verified = [.. (await hosts.EventsAsync(Destination)).Where(e => e.Name == "VERIFIED")];
        Assert.NotEmpty(verified);
        Assert.All(verified, e => AssertIntact(e, moves: 1));
    }

    /// <summary>
    /// Starts a move whose RAM takes a quarter of a minute or more, and waits until a part of the RAM was sent. Returns the numbers of events that the hosts
    /// had before.
    /// </summary>
    private static async Task<(int Source, int Destination)> MoveSlowlyAsync(ContainerHosts hosts)
    {
        await hosts.EventAsync(Destination, 0, e => e.Name == "LISTENING", Deadlines.Scale(240), "LISTENING");
        (int source, int destination) = ((await hosts.EventsAsync(Source)).Length, (await hosts.EventsAsync(Destination)).Length);
        await MoveAsync(hosts, "1M");
        await hosts.EventAsync(Source, source, HasSentRam, Deadlines.Migration, "RAM on its way");
        return (source, destination);
    }

    private static void AssertIntact(QmpEvent verified, int moves) => Assert.Equal(
        (true, 0, moves),
        (verified.Values.GetProperty("intact").GetBoolean(), verified.Values.GetProperty("lost-writes").GetInt32(),
            verified.Values.GetProperty("moves").GetInt32()));

    private static bool HasSentRam(QmpEvent said) =>
        said.Name == "PROGRESS" && said.Values.TryGetProperty("ram", out JsonElement ram) && ram.GetProperty("transferred").GetInt64() > 0;

    /// <summary>Has send-out start a move. Renaming makes the file appear with its content.</summary>
    private static Task MoveAsync(ContainerHosts hosts, string bandwidth) =>
        hosts.ExecuteAsync(Source, "bash", "-ec", $"printf '%s\\n' --max-bandwidth {bandwidth} > new; mv new go");

    /// <summary>The source fails and has its guest, intact.</summary>
    private static async Task AssertStayedAsync(ContainerHosts hosts, int from)
    {
        QmpEvent exit = await hosts.EventAsync(Source, from, e => e.Name == "EXIT", Deadlines.Migration, "EXIT");
        Assert.Equal(1, exit.Values.GetProperty("code").GetInt32());
        QmpEvent verified = Assert.Single((await hosts.EventsAsync(Source)).Skip(from), e => e.Name == "VERIFIED");
        AssertIntact(verified, moves: 0);
    }

    private async Task AssertDetectedAsync(ContainerHosts hosts, int host, int from, long start, string fault)
    {
        TimeSpan limit = (2 * s_keepAlive) + s_retryTime;
        QmpEvent result = await hosts.EventAsync(host, from, e => e.Name == "RESULT", limit, "RESULT");
        output.WriteLine($"{fault}: the {(host == Source ? "source" : "destination")} reported it after {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
        Assert.Equal(("failed", "Unreachable"), (result.Status, result.Values.GetProperty("error-class").GetString()));
    }
}
