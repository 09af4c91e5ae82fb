using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>RAM that goes beside the stream: the control phases of an RDMA channel.</summary>
/// <param name="channel">The channel.</param>
/// <param name="exchanged">Called when the destination's blocks are known to fit.</param>
internal sealed class RdmaCarrier(RdmaOutgoingChannel channel, Action exchanged) : IRamCarrier
{
    public void ExchangeBlocks(RamBlockList blocks)
    {
        channel.ExchangeRamBlocks(blocks);
        exchanged();
    }

    public void SendPages() => channel.SendRam();
}
