using System.Numerics;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>Reads the MEM_SIZE entry: the list of RAM blocks.</summary>
/// <param name="reader">The stream, behind the entry's flags.</param>
/// <param name="ram">What the configuration says.</param>
internal ref struct BlockListReader(SourceReader reader, ReceivedRam ram)
{
    /// <summary>The entry behind the list, where it had to be read to find the list's end.</summary>
    public ulong? NextEntry { get; private set; }

    /// <param name="total">Bytes in all blocks.</param>
    public RamBlockDescription[] Read(ulong total)
    {
        List<RamBlockDescription> blocks = new();
        HashSet<string> names = new(StringComparer.Ordinal);
        ulong sum = 0;
        while (sum < total)
        {
            ulong at = reader.Position;
            if (blocks.Count == RamBlockList.MaxCount)
            {
                throw reader.Malformed(at, $"more than {RamBlockList.MaxCount} RAM blocks");
            }

            string name = reader.ReadName("RAM block name");
            ulong length = reader.ReadUInt64();
            if (length == 0 || length % RamBlock.LengthUnit != 0 || (length & FlagMask) != 0)
            {
                throw reader.Malformed(at, $"RAM block '{name}' has length {length}, which is not a positive multiple of the page size");
            }

            if (length > total - sum)
            {
                throw reader.Malformed(at, $"RAM block '{name}' of {length} bytes exceeds what is left of the announced total {total} after {sum}");
            }

            if (!names.Add(name))
            {
                throw reader.Malformed(at, $"RAM block '{name}' comes twice");
            }

            sum += length;
            blocks.Add(ReadExtras(new RamBlockDescription(name, length), isLast: sum == total));
        }

        return [.. blocks];
    }

    private readonly ulong FlagMask => ram.FlagMask;

    /// <summary>
    /// Reads the optional page size and the guest address that x-ignore-shared adds. The stream does not say whether a page size is there: its
    /// first byte is 0, which a following name's length never is; after the last block it has no flag bits, which a following entry always has.
    /// </summary>
    private RamBlockDescription ReadExtras(RamBlockDescription block, bool isLast)
    {
        ulong at = reader.Position;
        ulong? address = ram.IgnoresShared ? reader.ReadUInt64() : null;
        ulong? size = NextField(isLast);
        if (ram.IgnoresShared && size is not null)
        {
            // The page size stands before the address.
            (size, address) = (address, size);
        }

        if (size is { } bytes && (!BitOperations.IsPow2(bytes) || bytes < (ulong)ram.PageSize))
        {
            throw reader.Malformed(at, $"RAM block '{block.Name}' has page size {bytes}, which is not a power of two of at least {ram.PageSize}");
        }

        return block with { PageSize = size, GuestAddress = address };
    }

    private ulong? NextField(bool isLast)
    {
        if (!isLast)
        {
            return reader.PeekByte() == 0 ? reader.ReadUInt64() : null;
        }

        ulong value = reader.ReadUInt64();
        if ((value & FlagMask) == 0)
        {
            return value;
        }

        NextEntry = value;
        return null;
    }
}
