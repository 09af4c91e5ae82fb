using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>Reads the sections of "ram": entries up to EOS.</summary>
internal sealed class RamSections(SourceReader reader, SectionFooters footers, ReceivedRam ram, IStreamTarget target) : ISectionHandler
{
    private readonly PageDecoder _decoder = new(reader);
    private readonly PageSizeSearch _search = new(reader, ram);
    private Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _indexes;
    private int _current = -1;
    private ulong? _pushedBackEntry;

    // Formatted once: a source sends thousands of PARTs.
    private string? _partStep;

    /// <summary>The header of the START section, once it has come.</summary>
    public SectionHeader? Header { get; private set; }

    /// <summary>The END section has been read: no page comes any more.</summary>
    public bool HasEnded { get; private set; }

    public SectionOutcome Read(in SectionHeader header, ulong at, BigLockState state)
    {
        reader.Step = header.Type == SectionType.Part ? _partStep ??= header.Step : header.Step;
        if (HasEnded)
        {
            throw reader.Malformed(at, "a section of 'ram' after its END section");
        }

        if (header.Type == SectionType.Start)
        {
            Open(header, at);
        }

        while (ReadEntry(header.Type))
        {
        }

        if (header.Type == SectionType.Start && !ram.HasBlockList)
        {
            throw reader.Malformed(at, "the START section of 'ram' has no block list");
        }

        footers.Read(header.Id);
        target.OnSection(new SectionRecord(header, at, reader.Position - at));
        HasEnded = header.Type == SectionType.End;
        return SectionOutcome.NextSection;
    }

    /// <summary>True for the index of the block of that name.</summary>
    public bool TryGetBlock(ReadOnlySpan<char> name, out int index)
    {
        index = -1;
        return ram.Blocks.Length > 0 && _indexes.TryGetValue(name, out index);
    }

    /// <summary>As the other overload, for the bytes of a name.</summary>
    public bool TryGetBlock(ReadOnlySpan<byte> name, out int index)
    {
        Span<char> text = stackalloc char[byte.MaxValue];
        for (int i = 0; i < name.Length; i++)
        {
            text[i] = (char)name[i];
        }

        return TryGetBlock(text[..name.Length], out index);
    }

    /// <summary>True for what can be the first entry of a section.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="hasName">A block's name follows it.</param>
    public bool IsPlausible(ulong entry, out bool hasName)
    {
        ulong flags = entry & ram.FlagMask;
        hasName = (flags & ~RamFlags.Continue) is RamFlags.Zero or RamFlags.Page or RamFlags.Xbzrle or RamFlags.CompressPage;
        bool isPage = hasName && (entry & ~ram.FlagMask) < ram.TotalLength;
        hasName &= (flags & RamFlags.Continue) == 0;
        return isPage || entry is RamFlags.Hook or RamFlags.EndOfSection or RamFlags.MultifdFlush;
    }

    private void Open(in SectionHeader header, ulong at)
    {
        if (Header is not null)
        {
            throw reader.Malformed(at, "a second START section of 'ram'");
        }

        if (header.Version != Wire.RamVersion)
        {
            throw reader.Malformed(at, $"version {header.Version}, only version {Wire.RamVersion} is known");
        }

        Header = header;
    }

    /// <summary>Reads one entry; false if it was EOS.</summary>
    private bool ReadEntry(byte sectionType)
    {
        ulong at = reader.Position;
        ulong entry = _pushedBackEntry ?? reader.ReadUInt64();
        _pushedBackEntry = null;
        if (!ram.IsPageSizeKnown)
        {
            _search.Look(entry);
        }

        ulong flags = entry & ram.FlagMask;
        ulong offset = entry & ~ram.FlagMask;
        bool sameBlock = (flags & RamFlags.Continue) != 0;
        switch (flags & ~RamFlags.Continue)
        {
            case RamFlags.Zero:
                SelectPage(sameBlock, offset, at);
                byte fill = reader.ReadByte();
                bool isFirst = ram.Add(_current, offset);
                target.Fill(_current, offset, ram.PageSize, fill, isFirst);
                return true;
            case RamFlags.Page:
                reader.ReadExactly(SelectContent(sameBlock, offset, at, PageEncoding.Plain));
                return true;
            case RamFlags.Xbzrle:
                _decoder.ReadXbzrle(SelectContent(sameBlock, offset, at, PageEncoding.Xbzrle));
                return true;
            case RamFlags.CompressPage:
                _decoder.ReadCompressed(SelectContent(sameBlock, offset, at, PageEncoding.Compressed));
                return true;
            case RamFlags.MemSize when !sameBlock && sectionType == SectionType.Start && !ram.HasBlockList:
                ReadBlockList(offset);
                return true;
            case RamFlags.Hook when entry == RamFlags.Hook:
                ReadHook(at);
                return true;
            case RamFlags.EndOfSection when entry == RamFlags.EndOfSection:
                return false;
            case RamFlags.MultifdFlush:
                throw reader.Unsupported(at, "the source has capability multifd on, which rdmamig does not support: turn it off");
            default:
                throw reader.Malformed(at, $"RAM entry 0x{entry:x16} is unknown or not allowed here");
        }
    }

    private void ReadBlockList(ulong total)
    {
        BlockListReader list = new(reader, ram);
        RamBlockDescription[] blocks = list.Read(total);
        _pushedBackEntry = list.NextEntry;
        ram.SetBlocks(blocks, total);
        Dictionary<string, int> indexes = new(StringComparer.Ordinal);
        for (int i = 0; i < blocks.Length; i++)
        {
            indexes.Add(blocks[i].Name, i);
        }

        _indexes = indexes.GetAlternateLookup<ReadOnlySpan<char>>();
        target.OnRamBlocks(blocks);
    }

    private void ReadHook(ulong at)
    {
        if (!ram.HasBlockList)
        {
            throw reader.Malformed(at, "a HOOK before the block list");
        }

        ram.SawHook = true;
        target.OnHook();
    }

    /// <summary>Reads the block id unless the entry continues the last block, and checks that the page lies in the block.</summary>
    private void SelectPage(bool sameBlock, ulong offset, ulong at)
    {
        if (!sameBlock)
        {
            _current = ReadBlockId(at);
        }
        else if (_current < 0)
        {
            throw reader.Malformed(at, "a CONTINUE entry before any block is named");
        }

        ulong length = ram.Blocks[_current].Length;
        if (offset >= length || length - offset < (ulong)ram.PageSize)
        {
            throw reader.Malformed(at, $"page at 0x{offset:x} is outside RAM block '{ram.Blocks[_current].Name}' of 0x{length:x} bytes");
        }
    }

    /// <summary>Selects a page whose content follows, and returns its memory.</summary>
    private Span<byte> SelectContent(bool sameBlock, ulong offset, ulong at, PageEncoding encoding)
    {
        SelectPage(sameBlock, offset, at);
        ram.AddContent(_current, offset);
        return target.Page(_current, offset, ram.PageSize, encoding);
    }

    private int ReadBlockId(ulong at)
    {
        int length = reader.ReadByte();
        Span<byte> bytes = stackalloc byte[byte.MaxValue];
        Span<char> name = stackalloc char[byte.MaxValue];
        bytes = bytes[..length];
        reader.ReadExactly(bytes);
        for (int i = 0; i < length; i++)
        {
            name[i] = (char)bytes[i];
        }

        return TryGetBlock(name[..length], out int index)
            ? index
            : throw reader.Malformed(at, $"RAM block '{Printable.Of(name[..length])}' is not in the block list");
    }
}
