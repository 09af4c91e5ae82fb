using RdmaMigration.Engine;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Guest;

/// <summary>What the command is to do.</summary>
internal sealed record GuestPlan
{
    /// <summary>Bytes of the guest's RAM.</summary>
    public required ulong Ram { get; init; }

    /// <summary>How the guest writes.</summary>
    public required GuestLoad Load { get; init; }

    /// <summary>Threads that write.</summary>
    public required int Writers { get; init; }

    /// <summary>Where the monitor's clients connect; null for no monitor.</summary>
    public string? Monitor { get; init; }

    /// <summary>Where the guest comes from; null for one that begins here.</summary>
    public ServeIncoming? Incoming { get; init; }

    /// <summary>Where the guest moves; null for nowhere.</summary>
    public MigrationUri? Destination { get; init; }

    /// <summary>How long the guest runs before it moves.</summary>
    public TimeSpan After { get; init; }

    /// <summary>How long the guest runs in the end; null for no limit.</summary>
    public TimeSpan? For { get; init; }

    /// <summary>What is exported of metrics and traces.</summary>
    public TelemetryOptions Telemetry { get; init; } = TelemetryOptions.None;

    /// <summary>Limits and capabilities of the migrations.</summary>
    public ParameterSet Parameters { get; init; } = ParameterSet.Defaults;
}
