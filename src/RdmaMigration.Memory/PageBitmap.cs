using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace RdmaMigration.Memory;

/// <summary>
/// One bit for each page of <see cref="RamBlock.LengthUnit"/> of a block. The bits are in leaves of 32768 pages (128 MiB of RAM in 4 KiB), which are made when
/// a bit is first set, so a bitmap takes memory for the parts of a block that are used. Each leaf counts its bits: empty ones are skipped. Not thread-safe.
/// </summary>
internal sealed class PageBitmap
{
    private const int WordBits = 64;
    private const int LeafWords = 512;
    private const ulong LeafPages = LeafWords * WordBits;

    /// <summary>Stands for every leaf with all bits set; it is never written.</summary>
    private static readonly ulong[] s_full = Full();

    private readonly ulong[]?[] _leaves;
    private readonly int[] _counts;

    /// <summary>Creates an empty bitmap.</summary>
    /// <param name="pages">The pages that it has a bit for.</param>
    public PageBitmap(ulong pages)
    {
        Pages = pages;
        int leaves = checked((int)((pages + LeafPages - 1) / LeafPages));
        _leaves = new ulong[leaves][];
        _counts = new int[leaves];
    }

    /// <summary>Creates an empty bitmap for a block.</summary>
    public PageBitmap(RamBlock block)
        : this(block.Length / RamBlock.LengthUnit)
    {
    }

    /// <summary>The pages that it has a bit for.</summary>
    public ulong Pages { get; }

    /// <summary>The pages whose bit is set.</summary>
    public ulong Count { get; private set; }

    /// <summary>Whether the bit of a page is set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such page.</exception>
    public bool this[ulong page]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(page, Pages);
            ulong[]? leaf = _leaves[page / LeafPages];
            return leaf is not null && (leaf[page % LeafPages / WordBits] >> (int)(page % WordBits) & 1) != 0;
        }
    }

    /// <summary>Sets the bits of a run of pages.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The run leaves the bitmap.</exception>
    public void Set(ulong first, ulong count)
    {
        CheckRun(first, count);
        for (ulong end = first + count; first < end;)
        {
            int index = (int)(first / LeafPages);
            ulong stop = Math.Min(end, ((ulong)index + 1) * LeafPages);
            int inLeaf = (int)(stop - first);
            if (inLeaf == (int)LeafPages)
            {
                _leaves[index] = s_full;
                Recount(index, inLeaf);
            }
            else if (_counts[index] != (int)LeafPages)
            {
                int low = (int)(first % LeafPages);
                ulong[] leaf = Writable(index);
                Recount(index, _counts[index] + inLeaf - CountRun(leaf, low, inLeaf));
                Fill(leaf, low, inLeaf, set: true);
            }

            first = stop;
        }
    }

    /// <summary>Clears the bits of a run of pages.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The run leaves the bitmap.</exception>
    public void Clear(ulong first, ulong count)
    {
        CheckRun(first, count);
        for (ulong end = first + count; first < end;)
        {
            int index = (int)(first / LeafPages);
            ulong stop = Math.Min(end, ((ulong)index + 1) * LeafPages);
            int inLeaf = (int)(stop - first);
            if (inLeaf == (int)LeafPages)
            {
                Empty(index);
            }
            else if (_counts[index] != 0)
            {
                int low = (int)(first % LeafPages);
                ulong[] leaf = Writable(index);
                Recount(index, _counts[index] - CountRun(leaf, low, inLeaf));
                Fill(leaf, low, inLeaf, set: false);
            }

            first = stop;
        }
    }

    /// <summary>Sets all bits.</summary>
    public void SetAll() => Set(0, Pages);

    /// <summary>Clears all bits. Leaves that are empty cost nothing.</summary>
    public void ClearAll()
    {
        for (int index = 0; index < _leaves.Length && Count != 0; index++)
        {
            Empty(index);
        }
    }

    /// <summary>Sets each bit that is set in another bitmap of the same size.</summary>
    /// <exception cref="ArgumentException">The other has another size.</exception>
    public void Or(PageBitmap other)
    {
        if (other.Pages != Pages)
        {
            throw new ArgumentException($"a bitmap of {other.Pages} pages does not fit one of {Pages}", nameof(other));
        }

        for (int index = 0; index < _leaves.Length; index++)
        {
            if (other._counts[index] == (int)LeafPages)
            {
                _leaves[index] = s_full;
                Recount(index, (int)LeafPages);
            }
            else if (other._counts[index] != 0 && _counts[index] != (int)LeafPages)
            {
                ulong[] leaf = Writable(index);
                Merge(leaf, other._leaves[index]!);
                Recount(index, CountRun(leaf, 0, (int)LeafPages));
            }
        }
    }

    /// <summary>Finds the next run of pages whose bits are set.</summary>
    /// <param name="from">The page to start at; it may be <see cref="Pages"/>.</param>
    /// <param name="start">The run's first page, or <see cref="Pages"/>.</param>
    /// <param name="end">The page after its last, or <see cref="Pages"/>.</param>
    /// <returns>False when no bit is set from there on.</returns>
    public bool TryNext(ulong from, out ulong start, out ulong end)
    {
        start = Find(from, set: true);
        end = start < Pages ? Find(start, set: false) : Pages;
        return start < Pages;
    }

    /// <summary>Finds the next run of pages whose bits are clear.</summary>
    /// <param name="from">The page to start at.</param>
    /// <param name="to">The page to stop before; at most <see cref="Pages"/>.</param>
    /// <param name="start">The run's first page, or <paramref name="to"/>.</param>
    /// <param name="end">The page after its last, or <paramref name="to"/>.</param>
    /// <returns>False when every bit in between is set.</returns>
    public bool TryNextClear(ulong from, ulong to, out ulong start, out ulong end)
    {
        start = Math.Min(Find(from, set: false), to);
        end = start < to ? Math.Min(Find(start, set: true), to) : to;
        return start < to;
    }

    private static ulong[] Full()
    {
        ulong[] leaf = new ulong[LeafWords];
        Array.Fill(leaf, ulong.MaxValue);
        return leaf;
    }

    /// <summary>The bits of a word from page <paramref name="low"/> of the word up to, but without, page <paramref name="high"/>.</summary>
    private static ulong Mask(int low, int high) => (high >= WordBits ? ulong.MaxValue : (1UL << high) - 1) & (ulong.MaxValue << low);

    private static int CountRun(ulong[] leaf, int first, int count)
    {
        int sum = 0;
        int end = first + count;
        for (int word = first / WordBits; word * WordBits < end; word++)
        {
            int start = word * WordBits;
            sum += BitOperations.PopCount(leaf[word] & Mask(Math.Max(first - start, 0), end - start));
        }

        return sum;
    }

    private static void Fill(ulong[] leaf, int first, int count, bool set)
    {
        int end = first + count;
        int word = first / WordBits;
        int last = (end - 1) / WordBits;
        Apply(ref leaf[word], Mask(first % WordBits, end - (word * WordBits)), set);
        if (last > word)
        {
            leaf.AsSpan(word + 1, last - word - 1).Fill(set ? ulong.MaxValue : 0);
            Apply(ref leaf[last], Mask(0, end - (last * WordBits)), set);
        }
    }

    private static void Apply(ref ulong word, ulong mask, bool set) => word = set ? word | mask : word & ~mask;

    private static void Merge(ulong[] into, ulong[] from)
    {
        Span<Vector512<ulong>> target = MemoryMarshal.Cast<ulong, Vector512<ulong>>(into.AsSpan());
        ReadOnlySpan<Vector512<ulong>> source = MemoryMarshal.Cast<ulong, Vector512<ulong>>(from);
        for (int i = 0; i < target.Length; i++)
        {
            target[i] |= source[i];
        }
    }

    /// <summary>The first page from a page on whose bit is set, or clear; <see cref="Pages"/> if there is none.</summary>
    private ulong Find(ulong from, bool set)
    {
        while (from < Pages)
        {
            int index = (int)(from / LeafPages);
            ulong next = ((ulong)index + 1) * LeafPages;
            int others = set ? 0 : (int)LeafPages;
            int inLeaf = (int)(from % LeafPages);
            if (_counts[index] != others && (_leaves[index] is { } leaf ? FindIn(leaf, inLeaf, set) : inLeaf) is >= 0 and int found)
            {
                return Math.Min(next - LeafPages + (ulong)found, Pages);
            }

            from = next;
        }

        return Pages;
    }

    private static int FindIn(ulong[] leaf, int from, bool set)
    {
        // A word that has nothing to find is all zero, or all ones.
        ulong nothing = set ? 0 : ulong.MaxValue;
        int word = from / WordBits;
        ulong first = (leaf[word] ^ nothing) & (ulong.MaxValue << (from % WordBits));
        if (first == 0)
        {
            int skipped = leaf.AsSpan(word + 1).IndexOfAnyExcept(nothing);
            if (skipped < 0)
            {
                return -1;
            }

            word += 1 + skipped;
            first = leaf[word] ^ nothing;
        }

        return (word * WordBits) + BitOperations.TrailingZeroCount(first);
    }

    /// <summary>The leaf, made or copied if it has no array of its own.</summary>
    private ulong[] Writable(int index)
    {
        ulong[]? leaf = _leaves[index];
        if (leaf is null || ReferenceEquals(leaf, s_full))
        {
            leaf = leaf is null ? new ulong[LeafWords] : [.. s_full];
            _leaves[index] = leaf;
        }

        return leaf;
    }

    private void Empty(int index)
    {
        if (_counts[index] == 0)
        {
            return;
        }

        if (ReferenceEquals(_leaves[index], s_full))
        {
            _leaves[index] = null;
        }
        else
        {
            Array.Clear(_leaves[index]!);
        }

        Recount(index, 0);
    }

    private void Recount(int index, int count)
    {
        Count = Count + (ulong)count - (ulong)_counts[index];
        _counts[index] = count;
    }

    private void CheckRun(ulong first, ulong count)
    {
        if (first > Pages || count > Pages - first)
        {
            throw new ArgumentOutOfRangeException(nameof(first), $"pages {first} + {count} are outside a bitmap of {Pages}");
        }
    }
}
