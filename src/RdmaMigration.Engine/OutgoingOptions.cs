using RdmaMigration.Memory;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Where a machine is sent, how, and the limits. The defaults are here and nowhere else.</summary>
public sealed record OutgoingOptions
{
    /// <summary>The destination.</summary>
    public required MigrationUri Uri { get; init; }

    /// <summary>RDMA: asks the destination to have all RAM registered at the start.</summary>
    public bool PinAll { get; init; }

    /// <summary>
    /// RDMA: opens a second connection on which the destination says how it ended. Default false: a destination that does not expect it, such as a QEMU 7.2
    /// without postcopy-ram, refuses the migration. Sockets have their way back always.
    /// </summary>
    public bool ReturnPath { get; init; }

    /// <summary>RDMA: the most memory, in bytes, that keys are asked for at once, a multiple of 1 MiB. Null for the transport's default.</summary>
    public ulong? WindowBytes { get; init; }

    /// <summary>The most bytes a second that are sent; null for no limit.</summary>
    public long? MaxBandwidth { get; init; }

    /// <summary>The longest from the first attempt to connect to the end; null for no limit.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>The longest wait for the destination to take the connection. Default 10 s, as QEMU waits for address and route.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Silence after which the destination is probed; zero never probes. Default 5 s, as for incoming migrations.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// The longest wait, once everything is sent, for the destination to say how it ended, or to close where it cannot say. Null: 60 s where it cannot say,
    /// enough to start a machine, and no limit where it will: a destination that writes a large machine to disk takes its time, and probes find a dead one.
    /// </summary>
    public TimeSpan? ConfirmTimeout { get; init; }

    /// <summary>What <see cref="ConfirmTimeout"/> is where the destination cannot say how it ended.</summary>
    public static TimeSpan DefaultCloseTimeout { get; } = TimeSpan.FromSeconds(60);

    /// <summary>The most memory, in bytes, that the machine's contents may take here. Default: what the host can give without swapping.</summary>
    public ulong MaxRam { get; init; } = HostMemory.Available;

    /// <summary>The most device state, in bytes. Default 1 GiB, as for incoming migrations.</summary>
    public ulong MaxDeviceState { get; init; } = 1UL << 30;

    /// <summary>What the machine is read from, which no destination may overwrite; null for what is no file.</summary>
    internal FileNode? Source { get; init; }
}
