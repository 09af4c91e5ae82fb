namespace RdmaMigration.Engine;

/// <summary>QEMU's MigrationStatus, as far as an incoming capture goes through it.</summary>
public enum MigrationStatus
{
    /// <summary>No source has come yet.</summary>
    None,

    /// <summary>A source is connected.</summary>
    Setup,

    /// <summary>The stream is being loaded.</summary>
    Active,

    /// <summary>Cancelled, but the receive thread is still at work.</summary>
    Cancelling,

    /// <summary>Cancelled; nothing is left of it.</summary>
    Cancelled,

    /// <summary>The capture stands complete under its name.</summary>
    Completed,

    /// <summary>The migration failed, see the error description.</summary>
    Failed,
}

/// <summary>What QEMU calls each status, and which may follow which.</summary>
public static class MigrationStatuses
{
    /// <summary>The word in QMP.</summary>
    public static string ToQmp(this MigrationStatus status) => status switch
    {
        MigrationStatus.None => "none",
        MigrationStatus.Setup => "setup",
        MigrationStatus.Active => "active",
        MigrationStatus.Cancelling => "cancelling",
        MigrationStatus.Cancelled => "cancelled",
        MigrationStatus.Completed => "completed",
        MigrationStatus.Failed => "failed",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "no such status"),
    };

    /// <summary>The migration is over.</summary>
    public static bool IsFinal(this MigrationStatus status) =>
        status is MigrationStatus.Completed or MigrationStatus.Failed or MigrationStatus.Cancelled;

    /// <summary>Whether QEMU's state machine goes from one to the other.</summary>
    public static bool MayFollow(this MigrationStatus next, MigrationStatus current) => (current, next) switch
    {
        (MigrationStatus.None, MigrationStatus.Setup) => true,
        (MigrationStatus.Setup, MigrationStatus.Active or MigrationStatus.Cancelling or MigrationStatus.Failed) => true,
        (MigrationStatus.Active, MigrationStatus.Completed or MigrationStatus.Cancelling or MigrationStatus.Failed) => true,
        (MigrationStatus.Cancelling, MigrationStatus.Cancelled) => true,
        (MigrationStatus.Completed or MigrationStatus.Failed or MigrationStatus.Cancelled, MigrationStatus.Setup) => true,
        _ => false,
    };
}
