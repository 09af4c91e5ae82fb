using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>What a service is started with.</summary>
internal sealed record ServeOptions
{
    /// <summary>The monitor's UNIX socket: a path, or <c>fd:N</c> for one that the process inherits.</summary>
    public required string Monitor { get; init; }

    /// <summary>Answers for the machine's devices; null when nothing does.</summary>
    public DeviceModel? DeviceModel { get; init; }

    /// <summary>Whether and where a machine comes in; null for no machine.</summary>
    public ServeIncoming? Incoming { get; init; }

    /// <summary>A machine that arrives stays paused.</summary>
    public bool IsPaused { get; init; }

    /// <summary>The machine's name; null for none.</summary>
    public string? Name { get; init; }

    /// <summary>The QEMU whose shapes the monitor has.</summary>
    public QemuProfile Profile { get; init; } = QemuProfile.All[^1];

    /// <summary>The version in the monitor's greeting, behind QEMU's.</summary>
    public string Package { get; init; } = "rdmamig";

    /// <summary>Limits and capabilities to begin with.</summary>
    public ParameterSet Parameters { get; init; } = ParameterSet.Defaults;
}

/// <summary>The option --incoming.</summary>
/// <param name="Uri">Where to listen from the start; null to wait for migrate-incoming (defer).</param>
internal sealed record ServeIncoming(MigrationUri? Uri);
