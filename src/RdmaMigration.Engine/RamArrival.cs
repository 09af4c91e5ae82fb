using RdmaMigration.Memory;

namespace RdmaMigration.Engine;

/// <summary>
/// How much of a pin-all migration's RAM has arrived. The source's writes are invisible to this side's program, but they come block by block in ascending
/// order, and every page is zero until one comes: the furthest page of a sample that does not begin with zeros tells how far the first pass is. An estimate
/// from below, by a few looks over all that may be there and a few more over where the furthest lies. The memory is registered whole, so looking at a page
/// allocates nothing. One thread at a time.
/// </summary>
internal sealed class RamArrival(RamBlockList blocks)
{
    private const int Looks = 64;
    private const ulong PageSize = 4096;

    /// <summary>Few pages that are in use begin with more zeros.</summary>
    private const int LookedAt = 256;

    private ulong _furthest;

    /// <summary>Bytes, 0 to the blocks' total.</summary>
    public long Estimate()
    {
        ulong gap = Advance(blocks.TotalLength - _furthest);
        Advance(Math.Min(gap, blocks.TotalLength - _furthest));
        return (long)_furthest;
    }

    /// <summary>Looks over so many bytes behind the furthest; returns how far apart the looks were.</summary>
    private ulong Advance(ulong length)
    {
        ulong start = _furthest;
        ulong step = Math.Max(length / Looks / PageSize, 1) * PageSize;
        for (ulong done = 0; done < length; done += step)
        {
            if (HasArrived(start + done))
            {
                _furthest = start + done;
            }
        }

        return step;
    }

    private bool HasArrived(ulong position)
    {
        int index = 0;
        while (position >= blocks[index].Length)
        {
            position -= blocks[index++].Length;
        }

        return !ZeroScan.IsZero(blocks[index].Slice(position, LookedAt));
    }
}
