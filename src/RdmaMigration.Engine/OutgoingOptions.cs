using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Where a machine is sent.</summary>
internal sealed record OutgoingOptions
{
    /// <summary>The destination.</summary>
    public required MigrationUri Uri { get; init; }

    /// <summary>Limits and capabilities.</summary>
    internal ParameterSet Parameters { get; init; } = ParameterSet.Defaults;

    /// <summary>The file that the machine is read from, which no destination may overwrite; null when it is not read from a file.</summary>
    internal FileNode? Source { get; init; }
}
