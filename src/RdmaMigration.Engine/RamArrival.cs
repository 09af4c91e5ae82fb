using RdmaMigration.Memory;

namespace RdmaMigration.Engine;

/// <summary>
/// How much of a pin-all migration's RAM has arrived. The source's writes are invisible to this side's program, but they come block by block in ascending
/// order, and every page is zero until one comes: the furthest page of a sample that does not begin with zeros tells how far the first pass is. An estimate
/// from below. The memory is registered whole, so looking at a page allocates nothing. Any thread.
/// </summary>
internal sealed class RamArrival(RamBlockList blocks)
{
    private const int Samples = 1024;
    private const int PageSize = 4096;

    /// <summary>Few pages that are in use begin with more zeros.</summary>
    private const int LookedAt = 256;

    private readonly ulong _step = Math.Max(blocks.TotalLength / Samples, PageSize);
    private ulong _furthest;

    /// <summary>Bytes, 0 to the blocks' total.</summary>
    public long Estimate()
    {
        ulong start = 0;
        foreach (RamBlock block in blocks)
        {
            ulong first = _furthest > start ? (_furthest - start) / _step * _step : 0;
            for (ulong offset = first; offset + PageSize <= block.Length; offset += _step)
            {
                if (!ZeroScan.IsZero(block.Slice(offset & ~(ulong)(PageSize - 1), LookedAt)))
                {
                    _furthest = Math.Max(_furthest, start + offset);
                }
            }

            start += block.Length;
        }

        return (long)_furthest;
    }
}
