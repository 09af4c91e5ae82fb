namespace RdmaMigration.Interop.Harness;

/// <summary>
/// How long after kill -9 of the source a destination says that the migration failed, in milliseconds, by the destination's own time stamps
/// (both programs run on this host's clock).
/// </summary>
internal static class KillToError
{
    /// <summary>Slow enough that a migration of 64 MiB still runs at every moment that is tried.</summary>
    private const long BytesPerSecond = 16 << 20;

    /// <summary>The destination is a receiver that keeps serving; also how long its receive thread took of that time.</summary>
    public static async Task<(double ToError, double Latency)> OfRdmamigAsync(RdmamigProcess receiver, QemuMachine source, TimeSpan moment)
    {
        int from = receiver.Events.Count;
        DateTimeOffset killed = await KillAsync(source, receiver.Uri, receiver.Events, from, moment);
        QmpEvent failure = await receiver.FailureAsync(from);
        ReceiveResult result = await receiver.ResultAsync(from);
        return result is { Status: "failed", ErrorLatency: { } latency }
            ? ((failure.Time - killed).TotalMilliseconds, latency.TotalMilliseconds)
            : throw new InvalidOperationException($"a killed source, and yet {result}");
    }

    /// <summary>The destination is a QEMU like the source.</summary>
    public static async Task<double> OfQemuAsync(QemuMachine source, string destinationMemory, TimeSpan moment)
    {
        string uri = RdmaAddress.NextUri();
        await using QemuMachine destination = await QemuMachine.StartAsync(
            source.Options with { Name = "destination", MemoryFile = destinationMemory, Incoming = "defer" });
        await destination.Monitor.ExecuteAsync("migrate-incoming", new { uri });
        DateTimeOffset killed = await KillAsync(source, uri, destination.Monitor.Events, 0, moment);
        QmpEvent failure = await destination.MigrationEndAsync(0);
        return failure.Status == "failed"
            ? (failure.Time - killed).TotalMilliseconds
            : throw new InvalidOperationException($"a killed source, and yet {failure}");
    }

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

/// <summary>The middle of what was measured.</summary>
internal static class Median
{
    public static double Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
