using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>The stream's writer over RAM that goes beside the stream.</summary>
/// <param name="ram">Moves it.</param>
/// <param name="exchanged">Called when the destination's blocks are known to fit.</param>
internal sealed class RamCarrier(OutgoingRam ram, Action exchanged) : IRamCarrier
{
    public void ExchangeBlocks(RamBlockList blocks)
    {
        ram.ExchangeBlocks(blocks);
        exchanged();
    }

    public void SendPages() => ram.Send();
}
