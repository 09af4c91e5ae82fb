using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>A move of 'rdmamig guest' away from a host that runs send-out.</summary>
internal sealed class ContainerMove
{
    /// <summary>How long the transport retries: rxe takes about 2 s a retry, and the specification allows a device four times the timeout.</summary>
    private static readonly TimeSpan s_retryTime = TimeSpan.FromSeconds(30);

    private readonly ContainerHosts _hosts;
    private readonly int _source;

    /// <summary>How many events each host had before the move.</summary>
    private readonly int[] _earlier;

    private ContainerMove(ContainerHosts hosts, int source, int[] earlier) => (_hosts, _source, _earlier) = (hosts, source, earlier);

    /// <summary>The --keepalive-interval of every rdmamig.</summary>
    public static TimeSpan KeepAlive { get; } = TimeSpan.FromSeconds(2);

    /// <summary>The time in which both sides report that the other does not answer.</summary>
    public static TimeSpan DetectionLimit { get; } = (2 * KeepAlive) + s_retryTime;

    /// <summary>Has a source send its guest.</summary>
    public static async Task<ContainerMove> StartAsync(ContainerHosts hosts, int source, string bandwidth)
    {
        QmpEvent[][] earlier = await Task.WhenAll(Enumerable.Range(1, hosts.Count).Select(hosts.EventsAsync));

        // Renaming makes the file appear with its content.
        await hosts.ExecuteAsync(source, "bash", "-ec", $"printf '%s\\n' --max-bandwidth {bandwidth} > new; mv new go");
        return new ContainerMove(hosts, source, [.. earlier.Select(events => events.Length)]);
    }

    /// <summary>Waits for an event of the move.</summary>
    public Task<QmpEvent> EventAsync(int host, Func<QmpEvent, bool> match, string what) => EventAsync(host, match, Deadlines.Migration, what);

    /// <summary>Waits until the source reports that it has sent a part of the RAM.</summary>
    public Task RamAsync() => EventAsync(_source, e => e.Name == "PROGRESS" && Transferred(e.Values) > 0, "RAM on its way");

    /// <summary>Waits until a host reports that the other side does not answer.</summary>
    public async Task DetectedAsync(int host)
    {
        QmpEvent result = await EventAsync(host, IsResult, DetectionLimit, "RESULT");
        Assert.Equal(("failed", "Unreachable"), (result.Status, result.Values.GetProperty("error-class").GetString()));
    }

    /// <summary>Waits until the source has failed. It has its guest, intact.</summary>
    /// <param name="running">Whether the guest runs there afterwards; null where the source exits at once.</param>
    public async Task StayedAsync(bool? running = null)
    {
        QmpEvent exit = await EventAsync(_source, e => e.Name == "EXIT", "EXIT");
        Assert.Equal(1, exit.Values.GetProperty("code").GetInt32());
        QmpEvent[] events = await EventsAsync(_source);
        AssertIntact(Assert.Single(events, IsVerified), moves: 0);
        if (running is { } expected)
        {
            QmpEvent state = events.SkipWhile(e => !IsResult(e)).First(e => e.Name == "GUEST");
            Assert.Equal(expected, state.Values.GetProperty("running").GetBoolean());
        }
    }

    /// <summary>Waits until the guest has arrived at a destination, intact.</summary>
    public async Task ArrivedAsync(int destination)
    {
        await EventAsync(destination, IsVerified, "VERIFIED");

        // It is verified again before the destination exits.
        Assert.All((await EventsAsync(destination)).Where(IsVerified), verified => AssertIntact(verified, moves: 1));
    }

    /// <summary>No guest has arrived at a destination.</summary>
    public async Task NotArrivedAsync(int destination) => Assert.DoesNotContain(await EventsAsync(destination), IsVerified);

    /// <summary>The events of the move so far.</summary>
    public async Task<QmpEvent[]> EventsAsync(int host) => (await _hosts.EventsAsync(host))[_earlier[host - 1]..];

    public static bool IsResult(QmpEvent reported) => reported.Name == "RESULT";

    /// <summary>The bytes of RAM in an event, or in its half for the destination.</summary>
    public static long Transferred(JsonElement values) => values.TryGetProperty("ram", out JsonElement ram) ? ram.GetProperty("transferred").GetInt64() : 0;

    private static bool IsVerified(QmpEvent reported) => reported.Name == "VERIFIED";

    private static void AssertIntact(QmpEvent verified, int moves) => Assert.Equal(
        (true, 0, moves),
        (verified.Values.GetProperty("intact").GetBoolean(), verified.Values.GetProperty("lost-writes").GetInt32(),
            verified.Values.GetProperty("moves").GetInt32()));

    private Task<QmpEvent> EventAsync(int host, Func<QmpEvent, bool> match, TimeSpan limit, string what) =>
        _hosts.EventAsync(host, _earlier[host - 1], match, limit, what);
}
