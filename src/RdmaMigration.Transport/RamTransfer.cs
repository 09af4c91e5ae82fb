using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>RAM that arrives beside the stream, by the source's RDMA writes.</summary>
internal interface IIncomingRam
{
    /// <summary>All RAM is registered at the start.</summary>
    bool PinAll { get; }

    /// <summary>Bytes that have arrived or are on their way: what the source has asked keys for.</summary>
    long RegisteredBytes { get; }

    /// <summary>Bytes that the source said are zero.</summary>
    long ZeroBytes { get; }

    /// <summary>The blocks that the source announced, in its order. The reader calls it between the block list and the next read. Not owned.</summary>
    void SetBlocks(RamBlockList blocks);
}

/// <summary>RAM that is sent beside the stream, by this side's RDMA writes.</summary>
internal abstract class OutgoingRam
{
    /// <summary>The destination registers all RAM at the start; false also when it was asked to and declined.</summary>
    public abstract bool PinAll { get; }

    /// <summary>Bytes that the destination's device has acknowledged.</summary>
    public abstract long SentBytes { get; }

    /// <summary>Bytes that need not be sent because they are zero, as far as it has looked.</summary>
    public abstract long ZeroBytes { get; }

    /// <summary>
    /// The control phase after the START section's HOOK: asks for the destination's RAM blocks, compares them with ours, and ends the phase. With pin-all both
    /// sides register everything meanwhile.
    /// </summary>
    /// <param name="blocks">In the order of the stream's list, without blocks that are left out. Not owned; they must live until the channel is
    /// disposed.</param>
    /// <param name="runs">
    /// The machine runs while it is sent: after <see cref="Send()"/> come passes over the pages that it wrote, and what is registered on this side stays so.
    /// Its writes must be tracked from this call's return on. Otherwise the blocks must not change.
    /// </param>
    /// <exception cref="ControlProtocolException">The destination's blocks differ, or it broke the protocol.</exception>
    /// <exception cref="RegistrationException">Memory of this side cannot be registered.</exception>
    /// <exception cref="ConnectionLostException">The channel failed.</exception>
    public void ExchangeBlocks(IReadOnlyList<RamBlock> blocks, bool runs = false)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        BlockingCalls.AssertAllowed();
        Exchange(blocks, runs);
    }

    /// <summary>The control phase after a HOOK: moves all RAM, waits until the destination's device has it, and ends the phase. The first pass.</summary>
    /// <exception cref="TransportException">The channel failed, the destination broke the protocol, or memory cannot be registered.</exception>
    public void Send()
    {
        BlockingCalls.AssertAllowed();
        SendAll();
    }

    /// <summary>The same for some pages, of a machine that runs. A later pass.</summary>
    /// <exception cref="TransportException">The channel failed, the destination broke the protocol, or memory cannot be registered.</exception>
    public void Send(IPageSet pages)
    {
        ArgumentNullException.ThrowIfNull(pages);
        BlockingCalls.AssertAllowed();
        SendSet(pages);
    }

    /// <summary>Does what <see cref="ExchangeBlocks"/> says.</summary>
    protected abstract void Exchange(IReadOnlyList<RamBlock> blocks, bool runs);

    /// <summary>Does what <see cref="Send()"/> says.</summary>
    protected abstract void SendAll();

    /// <summary>Does what <see cref="Send(IPageSet)"/> says.</summary>
    protected abstract void SendSet(IPageSet pages);
}
