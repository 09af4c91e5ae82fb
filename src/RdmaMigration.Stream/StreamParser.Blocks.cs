using System.Numerics;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>The MEM_SIZE entry: the list of RAM blocks (protocol C.4).</summary>
internal sealed partial class StreamParser
{
    private void ReadBlockList(ulong total)
    {
        List<RamBlockDescription> blocks = new();
        Dictionary<string, int> indexes = new(StringComparer.Ordinal);
        ulong sum = 0;
        while (sum < total)
        {
            ulong at = _reader.Position;
            if (blocks.Count == RamBlockList.MaxCount)
            {
                throw _reader.Malformed(at, $"more than {RamBlockList.MaxCount} RAM blocks");
            }

            string name = _reader.ReadName("RAM block name");
            ulong length = _reader.ReadUInt64();
            if (length == 0 || length % RamBlock.LengthUnit != 0 || (length & _flagMask) != 0)
            {
                throw _reader.Malformed(at, $"RAM block '{name}' has length {length}, which is not a positive multiple of the page size");
            }

            if (length > total - sum)
            {
                throw _reader.Malformed(at, $"RAM block '{name}' of {length} bytes exceeds what is left of the announced total {total} after {sum}");
            }

            if (!indexes.TryAdd(name, blocks.Count))
            {
                throw _reader.Malformed(at, $"RAM block '{name}' comes twice");
            }

            sum += length;
            blocks.Add(ReadBlockExtras(new RamBlockDescription(name, length), isLast: sum == total));
        }

        if (blocks.Count == 0)
        {
            throw _reader.Malformed(_reader.Position, "the block list is empty");
        }

        _blocks = [.. blocks];
        _blockIndexes = indexes.GetAlternateLookup<ReadOnlySpan<char>>();
        _received = [.. _blocks.Select(_ => new ReceivedPages())];
        _target.OnRamBlocks(_blocks);
    }

    /// <summary>
    /// Reads the optional page size and the guest address that x-ignore-shared adds. The stream does not say whether a page size is there: its
    /// first byte is 0, which a following name's length never is; after the last block it has no flag bits, which a following entry always has.
    /// </summary>
    private RamBlockDescription ReadBlockExtras(RamBlockDescription block, bool isLast)
    {
        ulong at = _reader.Position;
        bool hasAddress = Configuration.IgnoresShared;
        ulong? address = hasAddress ? _reader.ReadUInt64() : null;
        ulong? pageSize = NextField(isLast);
        if (hasAddress && pageSize is not null)
        {
            // The page size stands before the address.
            (pageSize, address) = (address, pageSize);
        }

        if (pageSize is { } size && (!BitOperations.IsPow2(size) || size < (ulong)_pageSize))
        {
            throw _reader.Malformed(at, $"RAM block '{block.Name}' has page size {size}, which is not a power of two of at least {_pageSize}");
        }

        return block with { PageSize = pageSize, GuestAddress = address };
    }

    private ulong? NextField(bool isLast)
    {
        if (!isLast)
        {
            return _reader.PeekByte() == 0 ? _reader.ReadUInt64() : null;
        }

        ulong value = _reader.ReadUInt64();
        if ((value & _flagMask) == 0)
        {
            return value;
        }

        _pushedBackEntry = value;
        return null;
    }
}
