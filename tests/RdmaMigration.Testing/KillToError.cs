namespace RdmaMigration.Testing;

/// <summary>How long after kill -9 of the source a destination has failed, in milliseconds.</summary>
/// <param name="ToError">By the time stamp of the destination's MIGRATION event; all programs run on this host's clock.</param>
/// <param name="ToReader">Until this program has read that event.</param>
/// <param name="Latency">Of it, from the completion waiter's sight of the loss to the receive thread's; rdmamig only.</param>
public sealed record KillLatency(double ToError, double ToReader, double? Latency);

/// <summary>Kills sources.</summary>
public static class KillToError
{
    /// <summary>Slow enough that a migration of 64 MiB still runs at every moment that is tried.</summary>
    private const long BytesPerSecond = 16 << 20;

    /// <summary>The destination is a receiver that keeps serving.</summary>
    public static async Task<KillLatency> OfRdmamigAsync(RdmamigProcess receiver, QemuMachine source, TimeSpan moment)
    {
        int from = receiver.Events.Count;
        DateTimeOffset killed = await KillAsync(source, receiver.Uri, receiver.Events, from, moment);
        QmpEvent failure = await receiver.FailureAsync(from);
        ReceiveResult result = await receiver.ResultAsync(from);
        return result is { Status: "failed", ErrorLatency: { } latency }
            ? After(killed, failure, latency.TotalMilliseconds)
            : throw new InvalidOperationException($"a killed source, and yet {result}");
    }

    /// <summary>The destination is a QEMU like the source.</summary>
    public static async Task<KillLatency> OfQemuAsync(QemuMachine source, string destinationMemory, TimeSpan moment)
    {
        string uri = RdmaAddress.NextUri();
        await using QemuMachine destination = await QemuMachine.StartAsync(
            source.Options with { Name = "destination", MemoryFile = destinationMemory, Incoming = "defer" });
        await destination.Monitor.ExecuteAsync("migrate-incoming", new { uri });
        DateTimeOffset killed = await KillAsync(source, uri, destination.Monitor.Events, 0, moment);
        QmpEvent failure = await destination.MigrationEndAsync(0);
        return failure.Status == "failed"
            ? After(killed, failure, null)
            : throw new InvalidOperationException($"a killed source, and yet {failure}");
    }

    private static KillLatency After(DateTimeOffset killed, QmpEvent failure, double? latency) =>
        new((failure.Time - killed).TotalMilliseconds, (failure.Seen - killed).TotalMilliseconds, latency);

    private static async Task<DateTimeOffset> KillAsync(
        QemuMachine source, string uri, EventLog<QmpEvent> destination, int from, TimeSpan moment)
    {
        await source.SetLimitsAsync(BytesPerSecond);
        await source.StartMigrationAsync(uri);
        await destination.FirstAsync(
            e => e is { Name: "MIGRATION", Status: "active" }, from, Deadlines.Migration, "an active migration");
        // Not a wait for anything: the moment itself is the thing that varies.
        await Task.Delay(moment);
        DateTimeOffset killed = DateTimeOffset.UtcNow;
        source.Process.KillNow();
        return killed;
    }
}
