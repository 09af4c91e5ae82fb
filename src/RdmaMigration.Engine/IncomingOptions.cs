using RdmaMigration.Memory;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>What is taken in, where it goes, and the limits. The defaults are here and nowhere else.</summary>
public sealed record IncomingOptions
{
    /// <summary>Where to listen, or what to read: a file, a command's output, a descriptor.</summary>
    public required MigrationUri Uri { get; init; }

    /// <summary>Where machines go.</summary>
    public required MachineTarget Target { get; init; }

    /// <summary>Ends the main loop after the first migration: with 0 when it completed, with 1 and the reason on stderr when not, as QEMU's exit-on-error.</summary>
    public bool Once { get; init; }

    /// <summary>
    /// One machine is taken: whoever runs this ends it after the first migration that completes, so that a further source must not believe that its machine has arrived.
    /// </summary>
    public bool UntilCompleted { get; init; }

    /// <summary>The most RAM, in bytes, that a source may make this side allocate. Default: what the host can give without swapping.</summary>
    public ulong MaxRam { get; init; } = HostMemory.Available;

    /// <summary>
    /// The most device state, in bytes. Default 1 GiB: ordinary machines have below 1 MiB, a large framebuffer or a passed-through GPU hundreds.
    /// </summary>
    public ulong MaxDeviceState { get; init; } = 1UL << 30;

    /// <summary>The longest that one migration may take from its connection to its end; null for no limit. A source may dirty memory for hours.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>The longest wait from the connection to the first bytes of the stream. Default 30 s: QEMU starts within 6 s, return path included. Not for what is read, whose source may come whenever it likes.</summary>
    public TimeSpan SetupTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest wait for a source to take a message on the return path. Default 10 s.</summary>
    public TimeSpan ReturnPathTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Answers a return path at once with SWITCHOVER_ACK, for a source that has switchover-ack on; the stream does not tell (protocol D.3).</summary>
    public bool SwitchoverAck { get; init; }

    /// <summary>What the listener grants.</summary>
    public ListenerOptions Listener { get; init; } = new();
}
