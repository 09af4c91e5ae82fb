using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>The stream's writer over RAM that goes beside the stream.</summary>
/// <param name="ram">Moves it.</param>
/// <param name="exchanged">Called when the destination's blocks are known to fit.</param>
/// <param name="runs">The machine runs while it is sent.</param>
internal sealed class RamCarrier(OutgoingRam ram, Action exchanged, bool runs = false) : IRamCarrier
{
    public void ExchangeBlocks(RamBlockList blocks)
    {
        ram.ExchangeBlocks(blocks, runs);
        exchanged();
    }

    public void SendPages(IPageSet pages, bool isLast)
    {
        if (pages.IsWhole)
        {
            ram.Send();
        }
        else
        {
            ram.Send(pages);
        }
    }
}
