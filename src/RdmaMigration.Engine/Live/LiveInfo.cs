using RdmaMigration.Memory;

namespace RdmaMigration.Engine;

/// <summary>What query-migrate tells of a machine that runs while it is sent. The names in QMP are QEMU's where QEMU has the figure. A snapshot.</summary>
internal sealed record LiveInfo
{
    /// <summary>How the pages that the program writes are found; null before the first pass.</summary>
    public DirtyTracking? Tracking { get; init; }

    /// <summary>dirty-sync-count: passes over RAM that have begun.</summary>
    public int Iterations { get; init; }

    /// <summary>dirty-pages-rate: pages a second that the program wrote during the last pass; one that it wrote twice counts once.</summary>
    public long DirtyPagesRate { get; init; }

    /// <summary>remaining: bytes of pages that were dirty at the begin of this pass, or of the last one.</summary>
    public long Remaining { get; init; }

    /// <summary>Bytes a second that the channel takes, by the last passes.</summary>
    public long Bandwidth { get; init; }

    /// <summary>expected-downtime: how long sending what is dirty would take now.</summary>
    public TimeSpan ExpectedDowntime { get; init; }

    /// <summary>
    /// downtime: from the request to stop the machine to the destination's report that it runs, or until the machine goes on here; so far, while it is stopped.
    /// </summary>
    public TimeSpan? Downtime { get; init; }

    /// <summary>cpu-throttle-percentage: by how much the program is slowed.</summary>
    public int ThrottlePercentage { get; init; }
}
