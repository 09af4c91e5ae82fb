namespace RdmaMigration.Streams;

/// <summary>
/// Which pages of a RAM block have come. Takes memory for what has come, not for the block's length, which is the source's word: at most 512 bytes and the
/// entry of a dictionary for a page that comes alone.
/// </summary>
/// <param name="growing">Called before another <see cref="LeafBytes"/> are taken; what it throws refuses them.</param>
internal sealed class ReceivedPages(Action growing)
{
    /// <summary>Bytes of memory for 4096 pages of which at least one has come: the bits, and their place in the dictionary.</summary>
    public const ulong LeafBytes = 640;

    private const int LeafShift = 12;
    private const ulong LeafMask = (1UL << LeafShift) - 1;

    private readonly Dictionary<ulong, ulong[]> _leaves = [];

    // Pages come mostly in order, so the leaf that was used last is the one that is used next.
    private ulong _latestIndex = ulong.MaxValue;
    private ulong[] _latest = [];

    /// <summary>How many different pages have come.</summary>
    public ulong Count { get; private set; }

    /// <summary>Notes a page; true if it comes for the first time.</summary>
    public bool Add(ulong page)
    {
        ulong index = page >> LeafShift;
        ulong[] leaf = index == _latestIndex ? _latest : Leaf(index);
        ref ulong word = ref leaf[(page & LeafMask) >> 6];
        ulong bit = 1UL << (int)(page & 63);
        bool isFirst = (word & bit) == 0;
        word |= bit;
        Count += isFirst ? 1UL : 0;
        return isFirst;
    }

    /// <summary>The first page that has not come. There must be one.</summary>
    public ulong FirstMissing()
    {
        for (ulong index = 0; ; index++)
        {
            if (!_leaves.TryGetValue(index, out ulong[]? leaf))
            {
                return index << LeafShift;
            }

            int word = leaf.AsSpan().IndexOfAnyExcept(ulong.MaxValue);
            if (word >= 0)
            {
                return (index << LeafShift) + ((ulong)word * 64) + ulong.TrailingZeroCount(~leaf[word]);
            }
        }
    }

    /// <summary>The same places, as pages of another size: the first page at each place has come.</summary>
    public ReceivedPages Rescale(int from, int to)
    {
        ReceivedPages rescaled = new(growing);
        foreach ((ulong index, ulong[] leaf) in _leaves)
        {
            for (int word = 0; word < leaf.Length; word++)
            {
                for (ulong rest = leaf[word]; rest != 0; rest &= rest - 1)
                {
                    ulong page = (index << LeafShift) + ((ulong)word * 64) + ulong.TrailingZeroCount(rest);
                    rescaled.Add(page * (ulong)from / (ulong)to);
                }
            }
        }

        return rescaled;
    }

    private ulong[] Leaf(ulong index)
    {
        if (!_leaves.TryGetValue(index, out ulong[]? leaf))
        {
            growing();
            leaf = new ulong[(1 << LeafShift) / 64];
            _leaves.Add(index, leaf);
        }

        (_latestIndex, _latest) = (index, leaf);
        return leaf;
    }
}
