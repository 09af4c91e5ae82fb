namespace RdmaMigration.Engine;

/// <summary>QEMU's MigrationStatus, without postcopy and COLO.</summary>
internal enum MigrationStatus
{
    /// <summary>There was no migration yet.</summary>
    None,

    /// <summary>Incoming: a source is connected. Outgoing: the capture is read, the destination contacted.</summary>
    Setup,

    /// <summary>The stream is being loaded, or RAM sent.</summary>
    Active,

    /// <summary>Outgoing, with pause-before-switchover: the machine is stopped, and migrate-continue is awaited.</summary>
    PreSwitchover,

    /// <summary>Outgoing: RAM is there, or the machine is stopped; device state is sent.</summary>
    Device,

    /// <summary>Cancelled, but the migration's thread is still at work.</summary>
    Cancelling,

    /// <summary>Cancelled; nothing is left of it.</summary>
    Cancelled,

    /// <summary>Incoming: the capture stands complete under its name. Outgoing: the destination has the machine, as far as it can say.</summary>
    Completed,

    /// <summary>The migration failed, see the error description.</summary>
    Failed,
}

/// <summary>What QEMU calls each status, and which may follow which.</summary>
internal static class MigrationStatuses
{
    /// <summary>The word in QMP.</summary>
    public static string ToQmp(this MigrationStatus status) => status switch
    {
        MigrationStatus.None => "none",
        MigrationStatus.Setup => "setup",
        MigrationStatus.Active => "active",
        MigrationStatus.PreSwitchover => "pre-switchover",
        MigrationStatus.Device => "device",
        MigrationStatus.Cancelling => "cancelling",
        MigrationStatus.Cancelled => "cancelled",
        MigrationStatus.Completed => "completed",
        MigrationStatus.Failed => "failed",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "no such status"),
    };

    /// <summary>The migration is over.</summary>
    public static bool IsFinal(this MigrationStatus status) =>
        status is MigrationStatus.Completed or MigrationStatus.Failed or MigrationStatus.Cancelled;

    /// <summary>
    /// Whether QEMU's state machine goes from one to the other; and a cancel that came too late ends as completed, since the destination has the
    /// machine.
    /// </summary>
    public static bool MayFollow(this MigrationStatus next, MigrationStatus current) => (current, next) switch
    {
        (MigrationStatus.None, MigrationStatus.Setup) => true,
        (MigrationStatus.Setup, MigrationStatus.Active or MigrationStatus.Cancelling or MigrationStatus.Failed) => true,
        (MigrationStatus.Active, MigrationStatus.PreSwitchover or MigrationStatus.Device or MigrationStatus.Completed) => true,
        (MigrationStatus.PreSwitchover, MigrationStatus.Device) => true,
        (MigrationStatus.Active or MigrationStatus.PreSwitchover, MigrationStatus.Cancelling or MigrationStatus.Failed) => true,
        (MigrationStatus.Device, MigrationStatus.Completed or MigrationStatus.Cancelling or MigrationStatus.Failed) => true,
        (MigrationStatus.Cancelling, MigrationStatus.Cancelled or MigrationStatus.Completed) => true,
        (MigrationStatus.Completed or MigrationStatus.Failed or MigrationStatus.Cancelled, MigrationStatus.Setup) => true,
        _ => false,
    };
}
