using System.Diagnostics;
using DotNet.Testcontainers.Containers;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>A host fails while a guest moves between two containers.</summary>
public sealed class ContainerFaultTests(ITestOutputHelper output)
{
    private const int Destination = 1;
    private const int Source = 2;
    private const string Uri = "rdma:10.77.0.1:4444";

    /// <summary>None of these faults closes a connection: the other side only notices silence.</summary>
    [Fact]
    public async Task A_failed_host_is_detected_and_the_next_move_succeeds()
    {
        string options = $"--ram 16M --keepalive-interval {ContainerMove.KeepAlive.TotalSeconds} --json";
        await using ContainerHosts hosts = await ContainerHosts.StartAsync(
            $"exec rdmamig guest --incoming {Uri} --for 1 {options}",
            $"exec send-out go rdmamig guest --migrate {Uri} --after 0 --dirty-rate 64K {options}");
        await hosts.EventAsync(Destination, 0, e => e.Name == "LISTENING", Deadlines.Scale(240), "LISTENING");

        // Both sides live, and each loses the other.
        ContainerMove move = await MoveSlowlyAsync(hosts);
        long start = Stopwatch.GetTimestamp();
        await hosts[Source].DisconnectAsync();
        await Task.WhenAll(
            DetectedAsync(move, Destination, start, "the source's network was disconnected"),
            DetectedAsync(move, Source, start, "the source's network was disconnected"));
        await move.StayedAsync();
        await hosts[Source].ReconnectAsync();

        // A hung host. It goes on later, and then learns that its destination is gone.
        move = await MoveSlowlyAsync(hosts);
        start = Stopwatch.GetTimestamp();
        await hosts[Source].PauseAsync();
        await DetectedAsync(move, Destination, start, "the source's container was paused");
        await hosts[Source].UnpauseAsync();
        await move.StayedAsync();

        // A host that lost its power.
        move = await MoveSlowlyAsync(hosts);
        start = Stopwatch.GetTimestamp();
        await hosts[Source].KillAsync();
        await DetectedAsync(move, Destination, start, "the source's container was killed");
        await hosts[Source].StartAsync();

        move = await ContainerMove.StartAsync(hosts, Source, "100M");
        await hosts.EndAsync(Destination).ThrowOnFailure();
        await move.ArrivedAsync(Destination);
    }

    [Fact]
    public async Task A_full_disk_leaves_the_guest_at_the_source_and_the_next_capture_succeeds()
    {
        string options = $"--keepalive-interval {ContainerMove.KeepAlive.TotalSeconds} --json";
        await using ContainerHosts hosts = await ContainerHosts.StartAsync(
            builder => builder.WithCreateParameterModifier(parameters =>
                parameters.HostConfig!.Tmpfs = new Dictionary<string, string> { ["/opt/rdma-migration/disk"] = "size=24m" }),
            $"exec rdmamig receive {Uri} --to disk/ {options}",
            $"exec send-out go rdmamig guest --migrate {Uri} --after 0 --for 3 --dirty-rate 64K --ram 16M --verify {options}");
        await hosts.EventAsync(Destination, 0, e => e.Name == "LISTENING", Deadlines.Scale(240), "LISTENING");

        // There is room when the move begins.
        ContainerMove move = await MoveSlowlyAsync(hosts);
        await hosts.ExecuteAsync(Destination, "bash", "-c", "! cat /dev/zero > disk/filler");
        QmpEvent failed = await move.EventAsync(Destination, ContainerMove.IsResult, "RESULT");
        Assert.Equal(("failed", "Storage"), (failed.Status, failed.Values.GetProperty("error-class").GetString()));
        await move.StayedAsync(running: true);
        await hosts.ExecuteAsync(Destination, "bash", "-ec", "[[ $(ls -A disk) == filler ]]; rm disk/filler");

        move = await ContainerMove.StartAsync(hosts, Source, "100M");
        QmpEvent captured = await move.EventAsync(Destination, ContainerMove.IsResult, "RESULT");
        Assert.Equal(("completed", true), (captured.Status, captured.Values.GetProperty("verified").GetBoolean()));
        QmpEvent moved = await move.EventAsync(Source, ContainerMove.IsResult, "RESULT");
        Assert.Equal("completed", moved.Status);
        await hosts.ExecuteAsync(Destination, "test", "-s", captured.Values.GetProperty("file").GetString()!);
    }

    /// <summary>Starts a move whose RAM takes a quarter of a minute or more, and waits until a part of the RAM was sent.</summary>
    private static async Task<ContainerMove> MoveSlowlyAsync(ContainerHosts hosts)
    {
        ContainerMove move = await ContainerMove.StartAsync(hosts, Source, "1M");
        await move.RamAsync();
        return move;
    }

    private async Task DetectedAsync(ContainerMove move, int host, long start, string fault)
    {
        await move.DetectedAsync(host);
        output.WriteLine($"{fault}: the {(host == Source ? "source" : "destination")} reported it after {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
    }
}
