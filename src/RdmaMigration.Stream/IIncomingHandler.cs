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

    /// <summary>A command of right length: OPEN_RETURN_PATH, PING, POSTCOPY_ADVISE, ENABLE_COLO or SWITCHOVER_START. Others never get here.</summary>
    void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload);

    /// <summary>A control phase follows: returns when the source has sent REGISTER_FINISHED. A source without RDMA refuses by throwing.</summary>
    void OnHook();

    /// <summary>All of RAM is there; the source goes on with device state.</summary>
    void OnRamComplete();
}
