using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// Moves guest memory beside the stream: the control phases of an RDMA migration (FORMAT.md, Writing a stream). <see cref="CaptureWriter"/> calls it right
/// after a write whose last bytes are a HOOK, and writes nothing before the call has returned.
/// </summary>
internal interface IRamCarrier
{
    /// <summary>The control phase of the START section: learns the destination's blocks and checks them. Once, before <see cref="SendPages"/>.</summary>
    /// <param name="blocks">The blocks in the order in which the stream has named them.</param>
    /// <exception cref="IOException">The channel failed, or the destination has other blocks.</exception>
    void ExchangeBlocks(RamBlockList blocks);

    /// <summary>The control phase of the END section: all of RAM. Returns when the destination has it.</summary>
    /// <exception cref="IOException">The channel failed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    void SendPages();
}
