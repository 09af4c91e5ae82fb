using Microsoft.Extensions.Logging;

namespace RdmaMigration.Service;

/// <summary>What a monitor over a machine is opened with.</summary>
public sealed record MachineMonitorOptions
{
    /// <summary>The monitor's UNIX socket: a path, or <c>fd:N</c> for one that the process inherits.</summary>
    public required string Path { get; init; }

    /// <summary>The machine's name, for query-name; null for none.</summary>
    public string? Name { get; init; }

    /// <summary>A machine arrives here: the monitor waits for migrate-incoming. Else migrate-incoming is refused, as by a QEMU without -incoming.</summary>
    public bool AwaitsMachine { get; init; }

    /// <summary>Takes the monitor's logs; null for none. The caller disposes it after the monitor.</summary>
    public ILoggerFactory? Log { get; init; }
}
