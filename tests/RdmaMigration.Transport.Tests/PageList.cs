using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>A set of runs of pages, in ascending order.</summary>
internal sealed class PageList(params (int Block, ulong FirstPage, ulong Pages)[] runs) : IPageSet
{
    public const ulong PageSize = RamBlock.LengthUnit;

    public bool IsWhole => false;

    /// <summary>Bytes in all runs.</summary>
    public long Bytes => runs.Sum(run => (long)(run.Pages * PageSize));

    public bool TryNext(int block, ulong from, out ulong start, out ulong end)
    {
        foreach ((int of, ulong first, ulong pages) in runs)
        {
            if (of == block && (first + pages) * PageSize > from)
            {
                start = Math.Max(from, first * PageSize);
                end = (first + pages) * PageSize;
                return true;
            }
        }

        // Nobody may rely on them.
        start = end = ulong.MaxValue;
        return false;
    }
}
