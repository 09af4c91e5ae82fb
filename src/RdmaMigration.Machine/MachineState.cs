namespace RdmaMigration.Machines;

/// <summary>Where a machine runs, as far as this process knows.</summary>
public enum MachineState
{
    /// <summary>It has not run here yet.</summary>
    Created,

    /// <summary>It runs here.</summary>
    Running,

    /// <summary>It is here and stopped.</summary>
    Stopped,

    /// <summary>It has moved to another process. What is in RAM here is old; it may be received again.</summary>
    Moved,
}
