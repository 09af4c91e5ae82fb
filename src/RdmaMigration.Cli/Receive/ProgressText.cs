using System.Globalization;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Receive;

/// <summary>Progress in words and figures, the same on a terminal and in a log.</summary>
internal static class ProgressText
{
    /// <summary>The phase, as people see it.</summary>
    public static string Phase(MigrationInfo migration) => migration.Status is MigrationStatus.Cancelling ? "cancelling" : migration.Phase switch
    {
        MigrationPhase.Ram => "RAM",
        MigrationPhase.Device => "devices",
        MigrationPhase.Saving => "saving",
        _ => "waiting",
    };

    /// <summary>How much of the phase's bytes are done, and how many there are; a total of 0 is not known yet.</summary>
    public static (long Done, long Total) Bytes(MigrationInfo migration) => migration.Phase is MigrationPhase.Saving
        ? (migration.SavedRam, migration.RamTotal)
        : (migration.RamTransferred, migration.RamTotal);

    /// <summary><c>312 MiB of 512 MiB (61 %), 54.20 MiB/s, 0:05 elapsed, 0:03 left</c>; what is not known is left out.</summary>
    public static string Figures(MigrationInfo migration, double bytesPerSecond)
    {
        var (done, total) = Bytes(migration);
        List<string> parts = [];
        if (total > 0)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{Size(done)} of {Size(total)} ({done * 100 / total} %)"));
        }

        if (bytesPerSecond >= 1)
        {
            parts.Add(Rate(bytesPerSecond));
        }

        parts.Add($"{Clock(migration.TotalTime + migration.SaveTime)} elapsed");
        if (total > done && bytesPerSecond >= 1 && (total - done) / bytesPerSecond < TimeSpan.FromDays(10).TotalSeconds)
        {
            parts.Add($"{Clock(TimeSpan.FromSeconds((total - done) / bytesPerSecond))} left");
        }

        return string.Join(", ", parts);
    }

    /// <summary>The end of a migration in one line.</summary>
    public static string Result(MigrationInfo migration)
    {
        if (migration.Status is not MigrationStatus.Completed)
        {
            return $"{migration.Status.ToQmp()}: {migration.ErrorDescription} (after {Seconds(migration.TotalTime)}; nothing was kept)";
        }

        var rate = migration.TotalTime > TimeSpan.Zero ? migration.RamTransferred / migration.TotalTime.TotalSeconds : 0;
        return $"completed: {migration.Machine ?? "machine"} from {migration.Peer}, {Size(migration.RamTotal)} of RAM in {Seconds(migration.TotalTime)} "
            + $"({Rate(rate)}, {migration.Mode.ToWord()}), saved in {Seconds(migration.SaveTime)}: {migration.File}";
    }

    /// <summary><c>0:05</c>, <c>12:40</c>, <c>3:00:01</c>.</summary>
    public static string Clock(TimeSpan span)
    {
        var seconds = (long)span.TotalSeconds;
        return seconds >= 3600
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600}:{seconds / 60 % 60:00}:{seconds % 60:00}")
            : string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}:{seconds % 60:00}");
    }

    private static string Size(long bytes) => ByteSize.Format((ulong)Math.Max(0, bytes));

    private static string Rate(double bytesPerSecond) => $"{ByteSize.Format((ulong)bytesPerSecond)}/s";

    private static string Seconds(TimeSpan span) => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0.00} s");
}
