using System.Collections;

namespace RdmaMigration.Memory;

/// <summary>
/// The RAM blocks of one machine, in the source's order (which is the index that control messages use). The owner disposes it, and with it
/// the blocks that were made for it. Reading it is safe from any thread.
/// </summary>
internal sealed class RamBlockList : IReadOnlyList<RamBlock>, IDisposable
{
    /// <summary>The most blocks a list may have: what one RAM_BLOCKS_RESULT control message holds (524272 / 32).</summary>
    public const int MaxCount = 16383;

    private readonly RamBlock[] _blocks;
    private readonly bool _ownsBlocks;
    private readonly Dictionary<string, int> _indexes;

    private RamBlockList(RamBlock[] blocks, Dictionary<string, int> indexes, ulong totalLength, bool ownsBlocks)
    {
        _ownsBlocks = ownsBlocks;
        _blocks = blocks;
        _indexes = indexes;
        TotalLength = totalLength;
    }

    /// <summary>Bytes in all blocks together.</summary>
    public ulong TotalLength { get; }

    /// <summary>Bytes of memory that back all blocks now.</summary>
    public ulong ResidentBytes
    {
        get
        {
            ulong sum = 0;
            foreach (RamBlock block in _blocks)
            {
                sum += block.ResidentBytes;
            }

            return sum;
        }
    }

    /// <inheritdoc/>
    public int Count => _blocks.Length;

    /// <inheritdoc/>
    public RamBlock this[int index] => _blocks[index];

    /// <summary>Checks the list whole, then creates its blocks. The caller owns the result.</summary>
    /// <param name="descriptions">What the source announced.</param>
    /// <param name="maxRam">The most bytes that all blocks together may take.</param>
    /// <exception cref="RamAllocationException">
    /// Too many blocks, a length that is no multiple of <see cref="RamBlock.LengthUnit"/>, a duplicate or empty name, more bytes than
    /// <paramref name="maxRam"/>, or the kernel refuses. Nothing stays allocated.
    /// </exception>
    public static RamBlockList Allocate(IReadOnlyList<RamBlockDescription> descriptions, ulong maxRam)
    {
        ArgumentNullException.ThrowIfNull(descriptions);
        ulong total = Check(descriptions, maxRam, out Dictionary<string, int> indexes);
        RamBlock[] blocks = new RamBlock[descriptions.Count];
        int made = 0;
        try
        {
            for (; made < blocks.Length; made++)
            {
                blocks[made] = RamBlock.Allocate(descriptions[made].Name, descriptions[made].Length, descriptions[made].HugePages);
            }
        }
        catch
        {
            foreach (RamBlock block in blocks.AsSpan(0, made))
            {
                block.Dispose();
            }

            throw;
        }

        return new RamBlockList(blocks, indexes, total, ownsBlocks: true);
    }

    /// <summary>A list of blocks that exist and stay their owner's: disposing it does not dispose them.</summary>
    /// <exception cref="RamAllocationException">Too many blocks, or two of the same name.</exception>
    public static RamBlockList Of(IReadOnlyList<RamBlock> blocks)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        RamBlockDescription[] descriptions = [.. blocks.Select(block => new RamBlockDescription(block.Name, block.Length))];
        ulong total = Check(descriptions, ulong.MaxValue, out Dictionary<string, int> indexes);
        return new RamBlockList([.. blocks], indexes, total, ownsBlocks: false);
    }

    /// <summary>Sets <see cref="RamBlock.MayDiscardZeros"/> of every block.</summary>
    /// <returns>This list.</returns>
    public RamBlockList AllowDiscardingZeros()
    {
        foreach (RamBlock block in _blocks)
        {
            block.MayDiscardZeros = true;
        }

        return this;
    }

    /// <summary>Looks a block up by its idstr.</summary>
    public bool TryGetIndex(string name, out int index) => _indexes.TryGetValue(name, out index);

    /// <inheritdoc/>
    public IEnumerator<RamBlock> GetEnumerator() => ((IEnumerable<RamBlock>)_blocks).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Disposes all blocks that the list owns.</summary>
    public void Dispose()
    {
        if (!_ownsBlocks)
        {
            return;
        }

        foreach (RamBlock block in _blocks)
        {
            block.Dispose();
        }
    }

    private static ulong Check(IReadOnlyList<RamBlockDescription> descriptions, ulong maxRam, out Dictionary<string, int> indexes)
    {
        if (descriptions.Count > MaxCount)
        {
            throw new RamAllocationException(null, $"{descriptions.Count} RAM blocks, the most is {MaxCount}");
        }

        indexes = new Dictionary<string, int>(descriptions.Count, StringComparer.Ordinal);
        ulong total = 0;
        for (int i = 0; i < descriptions.Count; i++)
        {
            (string name, ulong length) = descriptions[i];
            if (string.IsNullOrEmpty(name))
            {
                throw new RamAllocationException(name, $"RAM block {i} has no name");
            }

            if (length == 0 || length % RamBlock.LengthUnit != 0)
            {
                throw new RamAllocationException(name, $"RAM block '{name}': length {length} is not a positive multiple of {RamBlock.LengthUnit}");
            }

            if (length > maxRam - total)
            {
                throw new RamAllocationException(
                    name,
                    $"RAM block '{name}': its {length} bytes on top of {total} exceed max-ram {maxRam}: raise max-ram if this host has the memory");
            }

            if (!indexes.TryAdd(name, i))
            {
                throw new RamAllocationException(name, $"RAM block '{name}' is announced twice (block {indexes[name]} and block {i})");
            }

            total += length;
        }

        return total;
    }
}
