using System.IO.Compression;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>The "ram" sections: entries up to EOS (protocol C.4).</summary>
internal sealed partial class StreamParser
{
    private RamBlockDescription[] _blocks = [];
    private Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _blockIndexes;
    private ReceivedPages[] _received = [];
    private bool _sawPageContent;
    private bool _sawHook;
    private int _pageSize;
    private ulong _flagMask;
    private int _currentBlock = -1;
    private ulong? _pushedBackEntry;
    private byte[]? _entryScratch;

    // In words once: a source sends thousands of PARTs.
    private string? _partStep;

    /// <summary>What a page that does not compress may take: zlib adds a few bytes, zlib-ng's fastest level an eighth.</summary>
    private int MaxCompressedPage => _pageSize + (_pageSize / 8) + 128;

    /// <summary>
    /// True if the stream left the block out: capability x-ignore-shared is on, no page of it came inline, and none can have come by RDMA.
    /// </summary>
    public bool IsLeftOut(int block) => Configuration.IgnoresShared && !_sawHook && _received[block].Count == 0;

    /// <summary>
    /// Pages that never came, by block; empty when the machine is complete, and when pages went beside the stream by RDMA. Blocks that are left out do not count.
    /// </summary>
    public IReadOnlyList<MissingPages> MissingPages() => _sawHook || _options.AllowsMissingPages
        ? []
        : [.. Enumerable.Range(0, _blocks.Length).Where(block => !IsLeftOut(block) && _received[block].Count < PagesIn(block)).Select(Missing)];

    /// <summary>False while not one page came with its content: all that came were zero.</summary>
    public bool SawPageContent => _sawPageContent;

    private ulong PagesIn(int block) => _blocks[block].Length / (ulong)_pageSize;

    private MissingPages Missing(int block)
    {
        ReceivedPages received = _received[block];
        return new MissingPages(_blocks[block].Name, PagesIn(block) - received.Count, PagesIn(block), received.FirstMissing() * (ulong)_pageSize);
    }

    private void SetPageSize(int pageSize)
    {
        _pageSize = pageSize;
        _flagMask = (ulong)pageSize - 1;
    }

    private void ReadRamStart(in SectionHeader header, ulong at)
    {
        _reader.Step = header.Step;
        if (_ramHeader is not null)
        {
            throw _reader.Malformed(at, "a second START section of 'ram'");
        }

        if (header.Version != Wire.RamVersion)
        {
            throw _reader.Malformed(at, $"version {header.Version}, only version {Wire.RamVersion} is known");
        }

        _ramHeader = header;
        ReadRamSection(header, at);
        if (_blocks.Length == 0)
        {
            throw _reader.Malformed(at, "the START section of 'ram' has no block list");
        }
    }

    private void ReadRamSection(in SectionHeader header, ulong at)
    {
        _reader.Step = header.Type == SectionType.Part ? _partStep ??= header.Step : header.Step;
        while (ReadRamEntry(header.Type))
        {
        }

        ReadFooter(header.Id);
        _target.OnSection(new SectionRecord(header, at, _reader.Position - at));
    }

    /// <summary>Reads one entry; false if it was EOS.</summary>
    private bool ReadRamEntry(byte sectionType)
    {
        ulong at = _reader.Position;
        ulong entry = _pushedBackEntry ?? _reader.ReadUInt64();
        _pushedBackEntry = null;
        ulong flags = entry & _flagMask;
        ulong offset = entry & ~_flagMask;
        bool sameBlock = (flags & RamFlags.Continue) != 0;
        switch (flags & ~RamFlags.Continue)
        {
            case RamFlags.Zero:
                SelectPage(sameBlock, offset, at);
                byte fill = _reader.ReadByte();
                bool isFirst = Received(offset);
                _target.Fill(_currentBlock, offset, _pageSize, fill, isFirst);
                return true;
            case RamFlags.Page:
                SelectContent(sameBlock, offset, at);
                _reader.ReadExactly(_target.Page(_currentBlock, offset, _pageSize, PageEncoding.Plain));
                return true;
            case RamFlags.Xbzrle:
                SelectContent(sameBlock, offset, at);
                ReadXbzrle(_target.Page(_currentBlock, offset, _pageSize, PageEncoding.Xbzrle));
                return true;
            case RamFlags.CompressPage:
                SelectContent(sameBlock, offset, at);
                ReadCompressed(_target.Page(_currentBlock, offset, _pageSize, PageEncoding.Compressed));
                return true;
            case RamFlags.MemSize when !sameBlock && sectionType == SectionType.Start && _blocks.Length == 0:
                ReadBlockList(offset);
                return true;
            case RamFlags.Hook when entry == RamFlags.Hook:
                ReadHook(at);
                return true;
            case RamFlags.EndOfSection when entry == RamFlags.EndOfSection:
                return false;
            case RamFlags.MultifdFlush:
                throw _reader.Unsupported(at, "the source has capability multifd on, whose pages do not come on this channel: turn it off");
            default:
                throw _reader.Malformed(at, $"RAM entry 0x{entry:x16} is unknown or not allowed here");
        }
    }

    private void ReadHook(ulong at)
    {
        if (_blocks.Length == 0)
        {
            throw _reader.Malformed(at, "a HOOK before the block list");
        }

        _sawHook = true;
        _target.OnHook();
    }

    /// <summary>Reads the block id unless the entry continues the last block, and checks that the page lies in the block.</summary>
    private void SelectPage(bool sameBlock, ulong offset, ulong at)
    {
        if (!sameBlock)
        {
            _currentBlock = ReadBlockId(at);
        }
        else if (_currentBlock < 0)
        {
            throw _reader.Malformed(at, "a CONTINUE entry before any block is named");
        }

        ulong length = _blocks[_currentBlock].Length;
        if (offset >= length || length - offset < (ulong)_pageSize)
        {
            throw _reader.Malformed(at, $"page at 0x{offset:x} is outside RAM block '{_blocks[_currentBlock].Name}' of 0x{length:x} bytes");
        }
    }

    /// <summary>Selects a page whose content follows.</summary>
    private void SelectContent(bool sameBlock, ulong offset, ulong at)
    {
        SelectPage(sameBlock, offset, at);
        Received(offset);
        _sawPageContent = true;
    }

    /// <summary>Notes that something comes for the page; true if it is the first time.</summary>
    private bool Received(ulong offset) => _received[_currentBlock].Add(offset / (ulong)_pageSize);

    private int ReadBlockId(ulong at)
    {
        int length = _reader.ReadByte();
        Span<byte> bytes = stackalloc byte[byte.MaxValue];
        Span<char> name = stackalloc char[byte.MaxValue];
        bytes = bytes[..length];
        _reader.ReadExactly(bytes);
        for (int i = 0; i < length; i++)
        {
            name[i] = (char)bytes[i];
        }

        if (_blocks.Length > 0 && _blockIndexes.TryGetValue(name[..length], out int index))
        {
            return index;
        }

        throw _reader.Malformed(at, $"RAM block '{Printable.Of(name[..length])}' is not in the block list");
    }

    private void ReadXbzrle(Span<byte> page)
    {
        const byte XbzrleEncoding = 0x01;
        ulong at = _reader.Position;
        byte encoding = _reader.ReadByte();
        ushort length = _reader.ReadUInt16();
        if (encoding != XbzrleEncoding || length > _pageSize)
        {
            throw _reader.Malformed(at, $"XBZRLE page: encoding {encoding} and {length} bytes, expected {XbzrleEncoding} and at most {_pageSize}");
        }

        Span<byte> encoded = EntryScratch()[..length];
        _reader.ReadExactly(encoded);
        if (!Xbzrle.TryDecode(encoded, page))
        {
            throw _reader.Malformed(at, $"XBZRLE page of {length} bytes does not decode within a page of {_pageSize} bytes");
        }
    }

    private void ReadCompressed(Span<byte> page)
    {
        ulong at = _reader.Position;
        uint length = _reader.ReadUInt32();
        if (length > MaxCompressedPage)
        {
            throw _reader.Malformed(at, $"compressed page of {length} bytes, at most {MaxCompressedPage} are allowed");
        }

        _reader.ReadExactly(EntryScratch()[..(int)length]);
        using MemoryStream memory = new(_entryScratch!, 0, (int)length, writable: false);
        using ZLibStream zlib = new(memory, CompressionMode.Decompress);
        try
        {
            zlib.ReadExactly(page);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw new StreamFormatException(
                StreamFault.Malformed, _reader.Step, at, $"compressed page of {length} bytes does not decompress to {_pageSize} bytes", e);
        }
    }

    private Span<byte> EntryScratch() => _entryScratch ??= new byte[MaxCompressedPage];
}
