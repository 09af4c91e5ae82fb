using System.Buffers.Binary;
using System.Text;

namespace RdmaMigration.Testing;

/// <summary>One RAM block of a stream in a file: for every target page, how the stream gives it.</summary>
public sealed class StreamedBlock(string name, long length)
{
    public const long Missing = -1;
    public const long Zero = -2;

    public string Name { get; } = name;

    public long Length { get; } = length;

    /// <summary>For every page the offset of its bytes in the file, or <see cref="Zero"/>, or <see cref="Missing"/>.</summary>
    public long[] Pages { get; } = [.. Enumerable.Repeat(Missing, checked((int)((length + MigrationFile.PageSize - 1) / MigrationFile.PageSize)))];
}

/// <summary>
/// An x86 migration stream in a file, read independently of the code under test (protocol: stream grammar and RAM section): RAM blocks,
/// their pages, and the device state. Accepts what QEMU writes to exec:/file as well.
/// </summary>
public sealed class MigrationFile : IDisposable
{
    public const int PageSize = 4096;

    /// <summary>Magic and version.</summary>
    public const int HeaderSize = 8;

    private const uint SwitchoverStart = 0x0b;
    private const ulong ZeroFlag = 0x02, MemSizeFlag = 0x04, PageFlag = 0x08, EosFlag = 0x10, ContinueFlag = 0x20, HookFlag = 0x80;
    private readonly FileStream _file;
    private readonly Dictionary<string, StreamedBlock> _blocks = [];
    private StreamedBlock? _last;
    private uint _ramSection;

    private MigrationFile(string path) => _file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);

    public string MachineType { get; private set; } = "";

    public IReadOnlyDictionary<string, StreamedBlock> Blocks => _blocks;

    /// <summary>How many RAM sections follow the START section.</summary>
    public int RamSections { get; private set; }

    /// <summary>Page entries that gave a page which an earlier entry had given.</summary>
    public int RepeatedPages { get; private set; }

    /// <summary>All bytes from the first FULL section to the end of the file.</summary>
    public byte[] DeviceState { get; private set; } = [];

    /// <exception cref="InvalidDataException">The file is not such a stream.</exception>
    public static MigrationFile Open(string path)
    {
        MigrationFile file = new(path);
        try
        {
            file.Read();
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The first offset at which a block differs from the RAM file of a machine, or -1.</summary>
    public long FirstDifference(string block, string memoryFile)
    {
        StreamedBlock pages = _blocks[block];
        using FileStream memory = File.OpenRead(memoryFile);
        if (memory.Length != pages.Length)
        {
            return Math.Min(memory.Length, pages.Length);
        }

        byte[] have = new byte[PageSize];
        byte[] want = new byte[PageSize];
        for (int i = 0; i < pages.Pages.Length; i++)
        {
            memory.ReadExactly(want);
            int common = TryReadPage(pages, i, have) ? have.AsSpan().CommonPrefixLength(want) : 0;
            if (common < PageSize)
            {
                return ((long)i * PageSize) + common;
            }
        }

        return -1;
    }

    /// <summary>The first offset at which a block differs from that of another file, or -1.</summary>
    public long FirstDifference(string block, MigrationFile other)
    {
        StreamedBlock ours = _blocks[block];
        StreamedBlock theirs = other._blocks[block];
        if (ours.Length != theirs.Length)
        {
            return Math.Min(ours.Length, theirs.Length);
        }

        byte[] have = new byte[PageSize];
        byte[] want = new byte[PageSize];
        for (int i = 0; i < ours.Pages.Length; i++)
        {
            int common = TryReadPage(ours, i, have) && other.TryReadPage(theirs, i, want) ? have.AsSpan().CommonPrefixLength(want) : 0;
            if (common < PageSize)
            {
                return ((long)i * PageSize) + common;
            }
        }

        return -1;
    }

    public void Dispose() => _file.Dispose();

    /// <summary>Reads a page; false when the stream does not give it.</summary>
    private bool TryReadPage(StreamedBlock block, int page, byte[] bytes)
    {
        bytes.AsSpan().Clear();
        return block.Pages[page] switch
        {
            StreamedBlock.Missing => false,
            StreamedBlock.Zero => true,
            long at => RandomAccess.Read(_file.SafeFileHandle, bytes, at) == PageSize,
        };
    }

    private void Read()
    {
        Expect(ReadUInt32() == 0x5145564d, "magic");
        Expect(ReadUInt32() == 3, "version");
        int marker = ReadByte();
        if (marker == 0x07)
        {
            MachineType = ReadText(checked((int)ReadUInt32()));
            marker = ReadByte();
        }

        Expect(marker == 0x01, "a START section");
        _ramSection = ReadUInt32();
        Expect(ReadText(ReadByte()) == "ram" && ReadUInt32() == 0 && ReadUInt32() == 4, "section ram, instance 0, version 4");
        ReadRamSection();
        while ((marker = ReadByte()) is 0x02 or 0x03 or 0x08)
        {
            if (marker == 0x08)
            {
                // QEMU 10.0 and newer announce the switchover between two RAM sections; a capture keeps the command.
                Expect(ReadUInt32() == SwitchoverStart << 16, "no command but SWITCHOVER_START");
                continue;
            }

            Expect(ReadUInt32() == _ramSection, "the RAM section's id");
            RamSections++;
            ReadRamSection();
        }

        Expect(marker == 0x04, "a FULL section");
        _file.Seek(-1, SeekOrigin.Current);
        DeviceState = new byte[checked((int)(_file.Length - _file.Position))];
        _file.ReadExactly(DeviceState);
    }

    private void ReadRamSection()
    {
        while (true)
        {
            ulong entry = ReadUInt64();
            ulong flags = entry & (PageSize - 1);
            ulong address = entry & ~(ulong)(PageSize - 1);
            switch (flags & ~ContinueFlag)
            {
                case EosFlag:
                    Expect(ReadByte() == 0x7e && ReadUInt32() == _ramSection, "the RAM section's footer");
                    return;
                case MemSizeFlag:
                    ReadBlockList(address);
                    break;
                case ZeroFlag:
                    Block(flags);
                    Expect(ReadByte() == 0, "fill byte 0");
                    Record(address, StreamedBlock.Zero);
                    break;
                case PageFlag:
                    Block(flags);
                    Record(address, _file.Position);
                    _file.Seek(PageSize, SeekOrigin.Current);
                    break;
                default:
                    Expect(false, flags == HookFlag ? "no HOOK entry in an ordinary stream" : $"a known RAM entry, not 0x{flags:x}");
                    break;
            }
        }
    }

    private void ReadBlockList(ulong total)
    {
        for (ulong seen = 0; seen < total;)
        {
            string name = ReadText(ReadByte());
            ulong length = ReadUInt64();
            _blocks.Add(name, new StreamedBlock(name, checked((long)length)));
            seen += length;
        }
    }

    private void Block(ulong flags)
    {
        if ((flags & ContinueFlag) == 0)
        {
            string name = ReadText(ReadByte());
            Expect(_blocks.TryGetValue(name, out _last), $"a block of the list, not {name}");
        }
    }

    private void Record(ulong address, long where)
    {
        Expect(_last is not null && address < (ulong)_last.Length, "a page inside its block");
        ref long page = ref _last!.Pages[address / PageSize];
        RepeatedPages += page == StreamedBlock.Missing ? 0 : 1;
        page = where;
    }

    private void Expect(bool condition, string what)
    {
        if (!condition)
        {
            throw new InvalidDataException($"{_file.Name}: expected {what} before offset {_file.Position}");
        }
    }

    private byte ReadByte()
    {
        int value = _file.ReadByte();
        Expect(value >= 0, "more bytes");
        return (byte)value;
    }

    private uint ReadUInt32()
    {
        Span<byte> bytes = stackalloc byte[4];
        _file.ReadExactly(bytes);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    private ulong ReadUInt64()
    {
        Span<byte> bytes = stackalloc byte[8];
        _file.ReadExactly(bytes);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }

    private string ReadText(int length)
    {
        byte[] bytes = new byte[length];
        _file.ReadExactly(bytes);
        return Encoding.ASCII.GetString(bytes);
    }
}
