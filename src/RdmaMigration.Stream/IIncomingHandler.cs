using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// Who takes what an incoming stream carries. Called on the loading thread, in stream order. What a method throws ends
/// <see cref="IncomingStream.Load"/> and passes through unchanged.
/// </summary>
internal interface IIncomingHandler
{
    /// <summary>The configuration, once, before anything else. Also called when the stream has none.</summary>
    void OnConfiguration(StreamConfiguration configuration);

    /// <summary>The RAM blocks of the machine, once: allocate them or refuse by throwing.</summary>
    /// <returns>One block for each description, in the same order and of the same length. It stays the handler's, and must live until the load is
    /// over.</returns>
    RamBlockList OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks);

    /// <summary>The START section of "ram" has been read. A source with several connections has made them all by now.</summary>
    void OnRamStart()
    {
    }

    /// <summary>A PART section of "ram" has been read.</summary>
    void OnRamPart()
    {
    }

    /// <summary>The header of a section that is read, not kept as bytes behind RAM.</summary>
    void OnSectionHeader(in SectionHeader header)
    {
    }

    /// <summary>
    /// A command of right length: OPEN_RETURN_PATH, PING, POSTCOPY_ADVISE, PACKAGED, ENABLE_COLO or SWITCHOVER_START. Others never get here.
    /// </summary>
    void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload);

    /// <summary>A package is in memory and is loaded next.</summary>
    /// <param name="length">Its bytes.</param>
    void OnPackageReceived(int length)
    {
    }

    /// <summary>The load of a package has ended.</summary>
    void OnPackageEnd(bool isLoaded)
    {
    }

    /// <summary>Runs a step with the big lock held, and waits for it. The step does not block. What it throws is thrown here.</summary>
    /// <param name="state">Whether the caller holds the lock, as it must not.</param>
    /// <param name="step">The step, which is told that the lock is held.</param>
    void WithBigLock(BigLockState state, Action<BigLockState> step) => throw new InvalidOperationException("this load has no big lock");

    /// <summary>A control phase follows: returns when the source has sent REGISTER_FINISHED. A source without RDMA refuses by throwing.</summary>
    void OnHook();

    /// <summary>All of RAM is there; the source goes on with device state.</summary>
    void OnRamComplete();
}
