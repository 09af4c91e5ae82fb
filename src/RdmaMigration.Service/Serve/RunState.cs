namespace RdmaMigration.Service;

/// <summary>QEMU's RunState, as far as a machine has it here.</summary>
internal enum RunState
{
    /// <summary>There is no machine, or one that was never started.</summary>
    Prelaunch,

    /// <summary>A machine is awaited, or arrives.</summary>
    InMigrate,

    /// <summary>The machine is here and counts as running.</summary>
    Running,

    /// <summary>The machine is here and stopped.</summary>
    Paused,

    /// <summary>The machine is stopped for the end of its migration.</summary>
    FinishMigrate,

    /// <summary>The machine has migrated; its copy here is stopped.</summary>
    PostMigrate,
}

/// <summary>QEMU's names.</summary>
internal static class RunStates
{
    /// <summary>The name in QMP.</summary>
    public static string ToQmp(this RunState state) => state switch
    {
        RunState.Prelaunch => "prelaunch",
        RunState.InMigrate => "inmigrate",
        RunState.Running => "running",
        RunState.Paused => "paused",
        RunState.FinishMigrate => "finish-migrate",
        RunState.PostMigrate => "postmigrate",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, "no such state"),
    };
}
