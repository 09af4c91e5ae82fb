using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine;

/// <summary>
/// A machine that arrives: its RAM blocks, its devices' state and its configuration. A capture is one (<see cref="CapturedMachine"/>); a program of this
/// process is another (<see cref="ArrivingMachine"/>), which checks what a source announces against blocks that it has, and applies device state instead of
/// keeping it. Disposed after every thread and
/// every channel that uses its RAM.
/// </summary>
internal interface IMachine : IDisposable
{
    /// <summary>The configuration, once the stream has it.</summary>
    StreamConfiguration? Configuration { get; }

    /// <summary>The RAM blocks; null before they are known.</summary>
    RamBlockList? Ram { get; }

    /// <summary>The devices that the stream's sections are decoded for; null when device state is kept as bytes.</summary>
    DeviceList? Devices => null;

    /// <summary>RAM reads as zero until the stream writes to it.</summary>
    bool IsRamFresh => true;

    /// <summary>The machine as it is sent on or saved; null before all of it is there, and for one that keeps no bytes.</summary>
    CapturedStream? Content { get; }

    /// <summary>The stream's configuration. On the migration's thread.</summary>
    /// <exception cref="Linux.MigrationException">The machine cannot take it.</exception>
    void Configure(StreamConfiguration configuration);

    /// <summary>Makes or finds the RAM that the stream announces. On the migration's thread, once.</summary>
    /// <returns>One block for each description, in the same order and of the same length. They stay the machine's.</returns>
    /// <exception cref="RamAllocationException">The machine cannot have such blocks.</exception>
    RamBlockList AllocateRam(IReadOnlyList<RamBlockDescription> blocks);

    /// <summary>
    /// Reads the whole stream and keeps device state: as bytes, or decoded, to be applied later with the big lock held. On the migration's thread.
    /// </summary>
    /// <param name="stream">A stream for <see cref="Devices"/>.</param>
    /// <param name="state">Whether the caller holds the big lock.</param>
    /// <returns>The machine as it is sent on or saved, which stays this one's; null for one that keeps no bytes.</returns>
    /// <exception cref="StreamFormatException">The stream is malformed, truncated, too large, or not of this machine.</exception>
    CapturedStream? Load(IncomingStream stream, BigLockState state);
}
