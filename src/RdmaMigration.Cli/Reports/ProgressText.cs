using System.Globalization;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Reports;

/// <summary>Progress in words and figures, the same on a terminal and in a log.</summary>
internal static class ProgressText
{
    /// <summary>The phase, as people see it.</summary>
    public static string Phase(MigrationInfo migration) => migration.Status is MigrationStatus.Cancelling ? "cancelling" : migration.Phase switch
    {
        MigrationPhase.Loading => "loading",
        MigrationPhase.Connecting => "connecting",
        MigrationPhase.Ram => "RAM",
        MigrationPhase.Sending => "sending",
        MigrationPhase.PreSwitchover => "paused before switchover",
        MigrationPhase.Device => "devices",
        MigrationPhase.Saving => "saving",
        MigrationPhase.Confirming => "confirming",
        _ => "waiting",
    };

    /// <summary>How much of the phase's bytes are done, and how many there are; a total of 0 is not known yet.</summary>
    public static (long Done, long Total) Bytes(MigrationInfo migration) => migration.Phase switch
    {
        MigrationPhase.Loading => (migration.LoadedBytes, migration.FileBytes),
        MigrationPhase.Saving => (migration.SavedRam, migration.RamTotal),
        MigrationPhase.Ram => (migration.RamTransferred, migration.RamTotal),
        _ when migration.Destination is { } destination => (destination.RamTransferred, destination.RamTotal),
        _ => (migration.RamTransferred, migration.RamTotal),
    };

    /// <summary>From the beginning to now.</summary>
    public static TimeSpan Elapsed(MigrationInfo migration) =>
        migration.LoadTime + migration.TotalTime + migration.SaveTime + (migration.Destination?.TotalTime ?? TimeSpan.Zero);

    /// <summary>A transition in words, or null if it says nothing to people.</summary>
    public static string? Transition(MigrationInfo migration) => (migration.Status, migration.IsOutgoing) switch
    {
        (MigrationStatus.Setup, true) => $"sending {migration.File ?? migration.Machine} to {migration.Uri}",
        (MigrationStatus.Setup, false) or (MigrationStatus.Active, true) => $"{migration.Peer} connected, {migration.Mode.ToWord()}",
        _ when migration.Status.IsFinal() => Result(migration),
        _ => null,
    };

    /// <summary><c>312 MiB of 512 MiB (61 %), 54.20 MiB/s, 0:05 elapsed, 0:03 left</c>; what is not known is left out.</summary>
    public static string Figures(MigrationInfo migration, double bytesPerSecond)
    {
        (long done, long total) = Bytes(migration);
        List<string> parts = [];
        if (total > 0)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{Size(done)} of {Size(total)} ({done * 100 / total} %)"));
        }

        if (bytesPerSecond >= 1)
        {
            parts.Add(Rate(bytesPerSecond));
        }

        parts.Add($"{Clock(Elapsed(migration))} elapsed");
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
            string left = migration.Live is not null
                ? ""
                : migration.IsOutgoing
                ? $"; {migration.File} is unchanged"
                : migration.Destination is null && migration.File is null
                ? "; nothing was kept"
                : "";
            return $"{migration.Status.ToQmp()}: {migration.ErrorDescription} (after {Seconds(migration.LoadTime + migration.TotalTime)}{left})";
        }

        string moved = $"completed: {migration.Machine ?? "machine"} {(migration.IsOutgoing ? "to" : "from")} {migration.Peer}, "
            + $"{Size(migration.RamTotal)} of RAM{LeftOut(migration)}{(migration.IsVerified ? ", verified," : "")} {Speed(migration)}";
        return (migration.IsOutgoing, migration.Destination) switch
        {
            (true, _) => $"{moved}{Passes(migration.Live)}; {Confirmation(migration)}",
            (false, { } destination) => $"{moved}, to {destination.Peer} {Speed(destination)}; {Confirmation(migration)}",
            _ when migration.File is null => $"{moved}; it runs here",
            _ => $"{moved}, saved in {Seconds(migration.SaveTime)}: {migration.File}",
        };
    }

    private static string Passes(LiveInfo? live) => live is null
        ? ""
        : string.Create(CultureInfo.InvariantCulture, $", {live.Iterations} passes, downtime {live.Downtime?.TotalMilliseconds:0.0} ms");

    private static string LeftOut(MigrationInfo migration) => migration.LeftOut.Count == 0
        ? ""
        : $" without {string.Join(", ", migration.LeftOut.Select(block => $"'{block.Name}' ({Size((long)block.Length)})"))}";

    private static string Speed(MigrationInfo migration)
    {
        double rate = migration.TotalTime > TimeSpan.Zero ? migration.RamTransferred / migration.TotalTime.TotalSeconds : 0;
        return $"in {Seconds(migration.TotalTime)} ({Rate(rate)}, {migration.Mode.ToWord()})";
    }

    /// <summary>Whether the destination has confirmed the machine, and what to do when it has not.</summary>
    private static string Confirmation(MigrationInfo migration) => migration.Confirmed is true
        ? "confirmed by the destination"
        : "NOT confirmed: everything was sent, but the destination cannot report success over this channel; " + migration switch
        {
            { IsOutgoing: true } => "check there before you start or delete the machine here",
            { File: { } file } => $"check there before you start or delete {file}",
            _ => "check there, no copy was kept here",
        };

    /// <summary><c>0:05</c>, <c>12:40</c>, <c>3:00:01</c>.</summary>
    public static string Clock(TimeSpan span)
    {
        long seconds = (long)span.TotalSeconds;
        return seconds >= 3600
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600}:{seconds / 60 % 60:00}:{seconds % 60:00}")
            : string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}:{seconds % 60:00}");
    }

    private static string Size(long bytes) => ByteSize.Format((ulong)Math.Max(0, bytes));

    private static string Rate(double bytesPerSecond) => $"{ByteSize.Format((ulong)bytesPerSecond)}/s";

    private static string Seconds(TimeSpan span) => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0.00} s");
}
