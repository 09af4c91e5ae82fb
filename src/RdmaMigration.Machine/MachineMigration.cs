using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Machines;

/// <summary>The states of a migration; QEMU's words.</summary>
public enum MachineMigrationStatus
{
    /// <summary>There was no migration yet.</summary>
    None,

    /// <summary>The two sides connect.</summary>
    Setup,

    /// <summary>RAM is sent while the program runs.</summary>
    Active,

    /// <summary>The program is stopped, and the migration waits for leave to go on.</summary>
    PreSwitchover,

    /// <summary>The program is stopped; the last pages and the devices are sent.</summary>
    Device,

    /// <summary>The migration was cancelled and ends soon.</summary>
    Cancelling,

    /// <summary>The migration was cancelled.</summary>
    Cancelled,

    /// <summary>The machine runs at the destination.</summary>
    Completed,

    /// <summary>The migration failed.</summary>
    Failed,
}

/// <summary>How the pages that the program writes are found.</summary>
public enum PageTracking
{
    /// <summary>userfaultfd in asynchronous mode, with PAGEMAP_SCAN: Linux 6.7 and later.</summary>
    WriteProtectAsync,

    /// <summary>userfaultfd: a thread of the machine handles the first write of each page in each pass.</summary>
    WriteProtect,

    /// <summary>The kernel's soft-dirty bits: before Linux 6.7, for machines of up to 16 GiB.</summary>
    SoftDirty,

    /// <summary>
    /// The program marks what it writes (<see cref="MachineRam.MarkDirty"/>). Only where <see cref="MachineOptions.Tracking"/> asks for it: a write that nobody
    /// marks is lost.
    /// </summary>
    Explicit,
}

/// <summary>The figures of a migration at one moment. They do not change.</summary>
public sealed record MachineMigration
{
    /// <summary>How far it is.</summary>
    public MachineMigrationStatus Status { get; init; }

    /// <summary>This side sends; else it receives.</summary>
    public bool IsOutgoing { get; init; }

    /// <summary>The other side; null before it is known.</summary>
    public string? Peer { get; init; }

    /// <summary>From the connection to the end, or to now.</summary>
    public TimeSpan TotalTime { get; init; }

    /// <summary>Outgoing: from the request to stop the program to the destination's report that it runs there; null before.</summary>
    public TimeSpan? Downtime { get; init; }

    /// <summary>Outgoing: how long the downtime would be if the program were stopped now.</summary>
    public TimeSpan? ExpectedDowntime { get; init; }

    /// <summary>Outgoing: passes over RAM that have begun.</summary>
    public int Iterations { get; init; }

    /// <summary>Bytes of RAM in all blocks; 0 before that is known.</summary>
    public long RamBytes { get; init; }

    /// <summary>Outgoing: bytes of the pages that are to be sent in this pass.</summary>
    public long RemainingBytes { get; init; }

    /// <summary>Outgoing: bytes a second that the program writes to pages that it has not written in the same pass.</summary>
    public long DirtyRate { get; init; }

    /// <summary>Outgoing: bytes a second that the channel takes.</summary>
    public long Bandwidth { get; init; }

    /// <summary>Outgoing: percent of the time in which the program is kept from running; 0 unless <c>auto-converge</c> is on.</summary>
    public int ThrottlePercent { get; init; }

    /// <summary>Outgoing: how the pages that the program writes are found; null before the first pass.</summary>
    public PageTracking? Tracking { get; init; }

    /// <summary>Why it failed; null if it did not.</summary>
    public string? Error { get; init; }

    /// <summary>The kind of the failure; null if there is none.</summary>
    public FailureReason? ErrorReason { get; init; }

    internal static MachineMigration Of(MigrationInfo info) => new()
    {
        Status = Of(info.Status),
        IsOutgoing = info.IsOutgoing,
        Peer = info.Peer,
        TotalTime = info.TotalTime,
        Downtime = info.Live?.Downtime,
        ExpectedDowntime = info.Live?.ExpectedDowntime,
        Iterations = info.Live?.Iterations ?? 0,
        RamBytes = info.RamTotal,
        RemainingBytes = info.Live?.Remaining ?? 0,
        DirtyRate = (info.Live?.DirtyPagesRate ?? 0) * MachineRam.PageSize,
        Bandwidth = info.Live?.Bandwidth ?? 0,
        ThrottlePercent = info.Live?.ThrottlePercentage ?? 0,
        Tracking = info.Live?.Tracking is { } tracking ? Of(tracking) : null,
        Error = info.ErrorDescription,
        ErrorReason = info.ErrorClass,
    };

    internal static DirtyTracking Of(PageTracking tracking) => tracking switch
    {
        PageTracking.WriteProtectAsync => DirtyTracking.WriteProtectAsync,
        PageTracking.WriteProtect => DirtyTracking.WriteProtect,
        PageTracking.SoftDirty => DirtyTracking.SoftDirty,
        PageTracking.Explicit => DirtyTracking.Explicit,
        _ => throw new ArgumentOutOfRangeException(nameof(tracking), tracking, "no such tracking"),
    };

    private static MachineMigrationStatus Of(MigrationStatus status) => status switch
    {
        MigrationStatus.None => MachineMigrationStatus.None,
        MigrationStatus.Setup => MachineMigrationStatus.Setup,
        MigrationStatus.Active => MachineMigrationStatus.Active,
        MigrationStatus.PreSwitchover => MachineMigrationStatus.PreSwitchover,
        MigrationStatus.Device => MachineMigrationStatus.Device,
        MigrationStatus.Cancelling => MachineMigrationStatus.Cancelling,
        MigrationStatus.Cancelled => MachineMigrationStatus.Cancelled,
        MigrationStatus.Completed => MachineMigrationStatus.Completed,
        MigrationStatus.Failed => MachineMigrationStatus.Failed,
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "no such status"),
    };

    private static PageTracking Of(DirtyTracking tracking) => tracking switch
    {
        DirtyTracking.WriteProtectAsync => PageTracking.WriteProtectAsync,
        DirtyTracking.WriteProtect => PageTracking.WriteProtect,
        DirtyTracking.SoftDirty => PageTracking.SoftDirty,
        DirtyTracking.Explicit => PageTracking.Explicit,
        _ => throw new ArgumentOutOfRangeException(nameof(tracking), tracking, "no such tracking"),
    };
}
