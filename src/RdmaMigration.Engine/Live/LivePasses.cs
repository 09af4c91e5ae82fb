using RdmaMigration.Memory;

namespace RdmaMigration.Engine;

/// <summary>
/// The pages that a program has written and that were not sent since. A page is collected, which arms it again, before the NIC reads it: a write that comes
/// later makes it dirty again. One thread uses it.
/// </summary>
/// <param name="ram">The machine's RAM.</param>
/// <param name="tracker">Finds the pages. Owned.</param>
internal sealed class LivePasses(RamBlockList ram, IDirtyTracker tracker) : IPageSet, IDisposable
{
    private readonly PageBitmap[] _dirty = [.. ram.Select(block => new PageBitmap(block.Length / RamBlock.LengthUnit))];

    public bool IsWhole => false;

    /// <summary>How the pages are found.</summary>
    public DirtyTracking Tracking => tracker.Kind;

    /// <summary>Bytes in the set.</summary>
    public long Bytes { get; private set; }

    /// <summary>From the return on every write is seen.</summary>
    public void Start() => tracker.Start();

    /// <summary>The set was sent whole.</summary>
    public void Clear()
    {
        foreach (PageBitmap bitmap in _dirty)
        {
            bitmap.ClearAll();
        }

        Bytes = 0;
    }

    /// <summary>Adds the pages that were written since.</summary>
    /// <returns>How many.</returns>
    public long Collect()
    {
        ulong pages = 0;
        ulong all = 0;
        for (int block = 0; block < _dirty.Length; block++)
        {
            pages += tracker.Collect(block, _dirty[block]);
            all += _dirty[block].Count;
        }

        Bytes = (long)(all * RamBlock.LengthUnit);
        return (long)pages;
    }

    public bool TryNext(int block, ulong from, out ulong start, out ulong end)
    {
        bool isThere = _dirty[block].TryNext(from / RamBlock.LengthUnit, out start, out end);
        start *= RamBlock.LengthUnit;
        end *= RamBlock.LengthUnit;
        return isThere;
    }

    public void Dispose() => tracker.Dispose();
}

/// <summary>All of RAM: the first pass.</summary>
internal sealed class AllPages(RamBlockList ram) : IPageSet
{
    public bool IsWhole => true;

    public bool TryNext(int block, ulong from, out ulong start, out ulong end)
    {
        start = from;
        end = ram[block].Length;
        return from < end;
    }
}
