using System.Diagnostics.Metrics;
using RdmaMigration.Linux;

namespace RdmaMigration.Engine;

/// <summary>
/// What the engine measures of migrations that have ended, for whoever listens to the meter "RdmaMigration.Engine". No exporter belongs to it.
/// </summary>
internal static class MigrationMetrics
{
    private const long PageSize = 4096;

    private static readonly string[] s_sides = ["source", "destination"];
    private static readonly Meter s_meter = new("RdmaMigration.Engine");
    private static readonly Counter<long> s_ended = s_meter.CreateCounter<long>(
        "rdmamig_migrations", description: "Migrations that ended, by side and status.");
    private static readonly Counter<long> s_errors = s_meter.CreateCounter<long>("rdmamig_errors", description: "Migrations that failed, by reason.");
    private static readonly Counter<long> s_pages = s_meter.CreateCounter<long>("rdmamig_pages", description: "Pages that were moved, by side and kind.");
    private static readonly Counter<long> s_bytes = s_meter.CreateCounter<long>("rdmamig_ram_bytes", "By", "Bytes of RAM that were moved, by side.");
    private static readonly Counter<long> s_iterations = s_meter.CreateCounter<long>(
        "rdmamig_iterations", description: "Passes over RAM of a machine that runs.");
    private static readonly Histogram<double> s_totalTime = s_meter.CreateHistogram<double>(
        "rdmamig_total_time_seconds", "s", "What migrations took, by side.");
    private static readonly Histogram<double> s_downtime = s_meter.CreateHistogram<double>("rdmamig_downtime_seconds", "s", "How long machines stood still.");
    private static readonly Histogram<long> s_dirtyRate = s_meter.CreateHistogram<long>(
        "rdmamig_dirty_pages_rate", description: "Pages a second that a machine wrote, for each pass.");

    /// <summary>Adds 0 to each counter, with each of its labels, so that a rate over a counter sees the first migration. Once, for a listener.</summary>
    public static void ShowZeros()
    {
        foreach (string name in s_sides)
        {
            KeyValuePair<string, object?> side = new("side", name);
            foreach (MigrationStatus status in Enum.GetValues<MigrationStatus>().Where(status => status.IsFinal()))
            {
                s_ended.Add(0, side, new("status", status.ToQmp()));
            }

            s_bytes.Add(0, side);
            s_pages.Add(0, side, new("kind", "normal"));
            s_pages.Add(0, side, new("kind", "duplicate"));
        }

        foreach (FailureReason reason in Enum.GetValues<FailureReason>())
        {
            s_errors.Add(0, new KeyValuePair<string, object?>("reason", reason.ToString()));
        }

        s_iterations.Add(0);
    }

    /// <summary>A pass of a machine that runs is done.</summary>
    public static void OnPass(long pagesPerSecond) => s_dirtyRate.Record(pagesPerSecond);

    /// <summary>A migration has ended.</summary>
    public static void OnEnd(MigrationInfo info)
    {
        KeyValuePair<string, object?> side = new("side", info.IsOutgoing ? "source" : "destination");
        s_ended.Add(1, side, new("status", info.Status.ToQmp()));
        s_totalTime.Record(info.TotalTime.TotalSeconds, side);
        s_bytes.Add(info.RamTransferred - info.RamZero, side);
        s_pages.Add((info.RamTransferred - info.RamZero) / PageSize, side, new("kind", "normal"));
        s_pages.Add(info.RamZero / PageSize, side, new("kind", "duplicate"));
        if (info.ErrorClass is { } reason)
        {
            s_errors.Add(1, new KeyValuePair<string, object?>("reason", reason.ToString()));
        }

        if (info.Live is { } live)
        {
            s_iterations.Add(live.Iterations);
            if (live.Downtime is { } downtime)
            {
                s_downtime.Record(downtime.TotalSeconds);
            }
        }
    }
}
