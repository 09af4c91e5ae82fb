using System.Buffers.Binary;

namespace RdmaMigration.Streams;

/// <summary>
/// Finds the size of a target page where the stream does not state it (FORMAT.md, RAM): a size is right when the RAM entries make sense with it. The flags of
/// an entry are the bits below the page size, so a size that is too large shows as unknown flags. A page with content settles the size: an entry follows it.
/// </summary>
internal sealed class PageSizeSearch(SourceReader reader, ReceivedRam ram)
{
    /// <summary>Looks at an entry that has been read. Changes <see cref="ReceivedRam.PageSize"/> when only another size explains it.</summary>
    public void Look(ulong entry)
    {
        bool isPage = (entry & ram.FlagMask & ~RamFlags.Continue) == RamFlags.Page;
        if (!isPage && IsEntry(entry, ram.PageSize))
        {
            return;
        }

        int size = Candidates().FirstOrDefault(candidate => IsEntry(entry, candidate));
        if (size == 0)
        {
            // No size explains it: the reader reports the entry.
            return;
        }

        ram.ChangePageSize(size);
        ulong flags = entry & ram.FlagMask;
        if ((flags & ~RamFlags.Continue) == RamFlags.Page)
        {
            int nameLength = (flags & RamFlags.Continue) == 0 ? 1 + reader.PeekByte() : 0;
            ram.ChangePageSize(Candidates().FirstOrDefault(candidate => IsEntry(entry, candidate) && IsFollowed(nameLength + candidate, candidate), size));
            ram.IsPageSizeKnown = true;
        }
    }

    /// <summary>The present size first, then smaller ones, then larger ones.</summary>
    private IEnumerable<int> Candidates()
    {
        int start = ram.PageSize;
        for (int size = start; size >= 1 << Wire.MinPageBits; size >>= 1)
        {
            yield return size;
        }

        for (int size = start << 1; size <= 1 << Wire.MaxPageBits; size <<= 1)
        {
            yield return size;
        }
    }

    private bool IsEntry(ulong entry, int pageSize)
    {
        ulong mask = (ulong)pageSize - 1;
        ulong flags = entry & mask;
        return (flags & ~RamFlags.Continue) switch
        {
            RamFlags.Zero or RamFlags.Page or RamFlags.Xbzrle or RamFlags.CompressPage => (entry & ~mask) < ram.TotalLength,
            RamFlags.MemSize => flags == RamFlags.MemSize && !ram.HasBlockList,
            _ => entry is RamFlags.Hook or RamFlags.EndOfSection or RamFlags.MultifdFlush,
        };
    }

    /// <summary>An entry stands that many bytes ahead. A source sends at least EOS behind a page.</summary>
    private bool IsFollowed(int ahead, int pageSize)
    {
        int needed = ahead + sizeof(ulong);
        while (reader.Buffered.Length < needed && SourceReader.CanHold(needed) && reader.TryFill())
        {
        }

        return reader.Buffered.Length >= needed && IsEntry(BinaryPrimitives.ReadUInt64BigEndian(reader.Buffered[ahead..]), pageSize);
    }
}
