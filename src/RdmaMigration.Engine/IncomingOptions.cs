using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>What is received and where it goes.</summary>
internal sealed record IncomingOptions
{
    /// <summary>Where to listen, or what to read: a file, a command's output, a descriptor.</summary>
    public required MigrationUri Uri { get; init; }

    /// <summary>Where machines go.</summary>
    public required MachineTarget Target { get; init; }

    /// <summary>Ends the main loop after the first migration: with 0 when it completed, else with 1. QEMU's exit-on-error does the same.</summary>
    public bool Once { get; init; }

    /// <summary>
    /// The caller ends this after the first migration that completes. A further source must therefore not believe that its machine has arrived.
    /// </summary>
    public bool UntilCompleted { get; init; }

    /// <summary>Limits and capabilities.</summary>
    internal ParameterSet Parameters { get; init; } = ParameterSet.Defaults;
}
