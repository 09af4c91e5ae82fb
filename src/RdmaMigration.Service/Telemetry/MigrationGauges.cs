using System.Diagnostics;
using System.Diagnostics.Metrics;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>Gauges of the migration that runs or ran last, with the figures of query-migrate. Any thread.</summary>
/// <param name="query">Returns that migration.</param>
internal sealed class MigrationGauges(Func<MigrationInfo> query)
{
    private const long PageSize = 4096;

    /// <summary>The gauges of one scrape show one moment, and a query that samples RAM runs once for all of them.</summary>
    private static readonly TimeSpan s_moment = TimeSpan.FromMilliseconds(50);

    private static readonly MigrationStatus[] s_statuses = Enum.GetValues<MigrationStatus>();

    private readonly object _gate = new();
    private MigrationInfo? _info;
    private long _askedAt;

    /// <summary>Creates the instruments.</summary>
    public void AddTo(Meter meter)
    {
        meter.CreateObservableGauge("rdmamig_migration_status", Statuses, description: "1 for the status of the last migration, 0 for the others.");
        meter.CreateObservableGauge("rdmamig_migration_side", Sides, description: "1 for the side of this process in the last migration, 0 for the other.");
        Add("ram_bytes", "By", "RAM of the machine.", info => info.RamTotal);
        Add("transferred_bytes", "By", "RAM that was transferred as pages.", info => info.RamTransferred - info.RamZero);
        Add("zero_bytes", "By", "RAM that is zero and was not transferred as pages.", info => info.RamZero);
        Add("remaining_bytes", "By", "RAM that is still to be transferred.", Remaining);
        Add("dirty_rate_bytes_per_second", "By/s", "RAM that a running machine writes.", info => (info.Live?.DirtyPagesRate ?? 0) * PageSize);
        Add("total_time_seconds", "s", "Time since the begin of the last migration, or what it took.", info => info.TotalTime.TotalSeconds);
        Add("expected_downtime_seconds", "s", "Downtime if a running machine stopped now.", info => info.Live?.ExpectedDowntime.TotalSeconds ?? 0);
        Add("downtime_seconds", "s", "How long a running machine was stopped by the last migration.", info => info.Live?.Downtime?.TotalSeconds ?? 0);

        void Add(string name, string unit, string description, Func<MigrationInfo, double> value) =>
            meter.CreateObservableGauge($"rdmamig_migration_{name}", () => value(Query()), unit, description);
    }

    private static double Remaining(MigrationInfo info) =>
        info.Status is MigrationStatus.Completed ? 0 : info.Live?.Remaining ?? Math.Max(info.RamTotal - info.RamTransferred, 0);

    private IEnumerable<Measurement<int>> Statuses()
    {
        MigrationStatus current = Query().Status;
        return s_statuses.Select(status => One(status == current, "status", status.ToQmp()));
    }

    private IEnumerable<Measurement<int>> Sides()
    {
        MigrationInfo info = Query();
        bool isKnown = info.Status is not MigrationStatus.None;
        return [One(isKnown && info.IsOutgoing, "side", "source"), One(isKnown && !info.IsOutgoing, "side", "destination")];
    }

    private static Measurement<int> One(bool isCurrent, string label, string value) =>
        new(isCurrent ? 1 : 0, new KeyValuePair<string, object?>(label, value));

    private MigrationInfo Query()
    {
        lock (_gate)
        {
            if (_info is null || Stopwatch.GetElapsedTime(_askedAt) > s_moment)
            {
                _info = query();
                _askedAt = Stopwatch.GetTimestamp();
            }

            return _info;
        }
    }
}
