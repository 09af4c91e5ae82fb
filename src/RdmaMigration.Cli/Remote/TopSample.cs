using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Remote;

/// <summary>What a process is in a migration.</summary>
internal enum MigrationRole
{
    /// <summary>It has had none.</summary>
    None,

    /// <summary>It sends its machine.</summary>
    Source,

    /// <summary>A machine comes to it.</summary>
    Destination,
}

/// <summary>What a monitor reported at one moment.</summary>
/// <param name="At">When, by this host's clock since the start of the program.</param>
/// <param name="RunState">query-status.</param>
/// <param name="Migration">query-migrate.</param>
internal sealed record TopSample(TimeSpan At, string RunState, MigrationQuery Migration)
{
    /// <summary>A destination has no statistics. It listens, waits for its machine, or reports a status without RAM and without an error.</summary>
    public MigrationRole Role => Migration switch
    {
        { Ram: not null } => MigrationRole.Source,
        { IsListening: true } => MigrationRole.Destination,
        _ when RunState == "inmigrate" => MigrationRole.Destination,
        { KnownStatus: MigrationStatus.Active or MigrationStatus.Completed } => MigrationRole.Destination,
        { KnownStatus: MigrationStatus.None } => MigrationRole.None,
        _ => MigrationRole.Source,
    };

    /// <summary>The status in QEMU's words; <c>none</c> before the first migration, <c>waiting</c> for a destination without a source.</summary>
    public string Status => Migration.Status ?? (Role is MigrationRole.Destination ? "waiting" : "none");
}
