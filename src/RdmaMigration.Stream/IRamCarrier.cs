using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// Moves guest memory beside the stream: the control phases of an RDMA migration (FORMAT.md, Writing a stream). <see cref="OutgoingStream"/> calls it right
/// after a write whose last bytes are a HOOK, and writes nothing before the call has returned.
/// </summary>
internal interface IRamCarrier
{
    /// <summary>The control phase of the START section: learns the destination's blocks and checks them. Once, before <see cref="SendPages"/>.</summary>
    /// <param name="blocks">The blocks in the order in which the stream has named them.</param>
    /// <exception cref="IOException">The channel failed, or the destination has other blocks.</exception>
    void ExchangeBlocks(RamBlockList blocks);

    /// <summary>The control phase of a PART or END section. Returns when the destination has the pages.</summary>
    /// <param name="pages">The pages of this pass.</param>
    /// <param name="isLast">No further pass comes.</param>
    /// <exception cref="IOException">The channel failed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    void SendPages(IPageSet pages, bool isLast);
}
