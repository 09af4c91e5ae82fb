using RdmaMigration.Memory;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>
/// A machine: owns its RAM blocks, its devices' state and its configuration. A capture is one (<see cref="CapturedMachine"/>); a running .NET program will be
/// another, which checks what a source announces against blocks that it has, and applies device state instead of keeping it. Disposed after every thread and
/// every channel that uses its RAM.
/// </summary>
internal interface IMachine : IDisposable
{
    /// <summary>The configuration, once the stream has it.</summary>
    StreamConfiguration? Configuration { get; }

    /// <summary>The RAM blocks; null before they are known.</summary>
    RamBlockList? Ram { get; }

    /// <summary>The machine as it is sent on or saved; null before all of it is there.</summary>
    CapturedStream? Content { get; }

    /// <summary>The stream's configuration. On the migration's thread.</summary>
    /// <exception cref="Linux.MigrationException">The machine cannot take it.</exception>
    void Configure(StreamConfiguration configuration);

    /// <summary>Makes or finds the RAM that the stream announces. On the migration's thread, once.</summary>
    /// <returns>One block for each description, in the same order and of the same length. They stay the machine's.</returns>
    /// <exception cref="RamAllocationException">The machine cannot have such blocks.</exception>
    RamBlockList AllocateRam(IReadOnlyList<RamBlockDescription> blocks);

    /// <summary>
    /// Keeps device state that was decoded without the big lock; a machine that runs applies it later, with the lock held. While the stream runs or at its
    /// end, on the migration's thread.
    /// </summary>
    void StageDevices(CapturedStream loaded);
}
