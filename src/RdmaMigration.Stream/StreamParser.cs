using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// Reads one stream from its magic to its end and drives a target. RAM sections are decoded; everything else is kept as it is
/// (protocol C, E.1).
/// </summary>
internal sealed partial class StreamParser
{
    private readonly SourceReader _reader;
    private readonly IStreamTarget _target;
    private readonly IncomingStreamOptions _options;
    private readonly Dictionary<uint, string> _otherSections = [];
    private SectionHeader? _ramHeader;
    private bool? _hasFooters;

    public StreamParser(IStreamSource source, IStreamTarget target, IncomingStreamOptions options)
    {
        _reader = new SourceReader(source);
        _target = target;
        _options = options;
        DeviceState = new DeviceStateReader(_reader);
    }

    public StreamConfiguration Configuration { get; private set; } = null!;

    public bool HasSwitchoverStart { get; private set; }

    public bool HasFooters => _hasFooters ?? false;

    public uint RamSectionId => _ramHeader!.Value.Id;

    public IReadOnlyList<RamBlockDescription> Blocks => _blocks;

    /// <summary>Sections of other handlers before the "ram" START section, with headers and footers.</summary>
    public ChunkedBytes BeforeRam { get; } = new();

    /// <summary>Offset in the stream of the first byte of <see cref="BeforeRam"/>.</summary>
    public ulong BeforeRamOffset { get; private set; }

    /// <summary>Sections of other handlers between the "ram" START and END sections, with headers and footers.</summary>
    public ChunkedBytes AmidRam { get; } = new();

    public DeviceStateReader DeviceState { get; }

    /// <summary>An error at the place that the reader has reached.</summary>
    public StreamFormatException Incomplete(string step, string detail) => new(StreamFault.Incomplete, step, _reader.Position, detail);

    /// <summary>Bytes read from the source so far.</summary>
    public ulong TotalBytes => _reader.Position;

    /// <summary>Reads the whole stream.</summary>
    public void Run()
    {
        ConfigurationReader.ReadHeader(_reader);
        Configuration = ConfigurationReader.Read(_reader, _options.TargetPageSize);
        SetPageSize(Configuration.PageSize);
        _target.OnConfiguration(Configuration);
        bool ramEnded = false;
        while (!ramEnded)
        {
            ramEnded = ReadSection();
        }

        _target.OnRamEnd(this);
        DeviceState.Read(HasFooters, _options.MaxDeviceState - (ulong)(BeforeRam.Length + AmidRam.Length));
    }

    /// <summary>Reads one section or command; true after the "ram" END section.</summary>
    private bool ReadSection()
    {
        _reader.Step = "section type";
        ulong at = _reader.Position;
        byte type = _reader.ReadByte();
        switch (type)
        {
            case SectionType.Command:
                ReadCommand(at);
                return false;
            case SectionType.Start or SectionType.Full:
                _reader.Step = "section header";
                ReadOpenedSection(SectionHeader.ReadNamed(_reader, type), at);
                return false;
            case SectionType.Part or SectionType.End:
                _reader.Step = "section header";
                return ReadContinuedSection(type, at);
            case SectionType.EndOfFile:
                throw _reader.Malformed(at, "the end marker comes before the END section of 'ram': guest memory is not complete");
            default:
                throw _reader.Malformed(at, $"0x{type:x2} is no section type");
        }
    }

    private void ReadOpenedSection(in SectionHeader header, ulong at)
    {
        if (header is { IsRam: true, Type: SectionType.Start })
        {
            ReadRamStart(header, at);
        }
        else if (_ramHeader is null)
        {
            ReadRamStart(SkipToRamStart(header, ref at), at);
        }
        else
        {
            ReadOtherSection(header, at);
        }
    }

    /// <summary>Reads a PART or END section; true if it was the END of "ram".</summary>
    private bool ReadContinuedSection(byte type, ulong at)
    {
        uint id = _reader.ReadUInt32();
        if (_ramHeader is not { } ram)
        {
            throw _reader.Malformed(at, $"a PART or END section (id {id}) before the START section of 'ram'");
        }

        if (id != ram.Id)
        {
            ReadOtherSection(new SectionHeader(type, id, _otherSections.GetValueOrDefault(id, "unknown"), 0, 0), at);
            return false;
        }

        ReadRamSection(ram with { Type = type }, at);
        return type == SectionType.End;
    }

    private void ReadCommand(ulong at)
    {
        _reader.Step = "command";
        ushort code = _reader.ReadUInt16();
        ushort length = _reader.ReadUInt16();
        MigrationCommand command = (MigrationCommand)code;
        switch (command)
        {
            case MigrationCommand.OpenReturnPath or MigrationCommand.EnableColo or MigrationCommand.SwitchoverStart when length == 0:
            case MigrationCommand.Ping when length == 4:
            case MigrationCommand.PostcopyAdvise when length is 0 or 16:
                break;
            case MigrationCommand.OpenReturnPath or MigrationCommand.EnableColo or MigrationCommand.SwitchoverStart:
            case MigrationCommand.Ping or MigrationCommand.PostcopyAdvise:
                throw _reader.Malformed(at, $"command {command} has {length} bytes of payload, which is not its length");
            case MigrationCommand.PostcopyListen or MigrationCommand.PostcopyRun or MigrationCommand.PostcopyRamDiscard:
            case MigrationCommand.Packaged or MigrationCommand.PostcopyResume or MigrationCommand.ReceiveBitmap:
                throw _reader.Unsupported(at, $"command {command}: the source switched to postcopy, which is not received here; migrate without migrate-start-postcopy");
            default:
                throw _reader.Malformed(at, $"unknown command {code}");
        }

        Span<byte> payload = stackalloc byte[16];
        payload = payload[..length];
        _reader.ReadExactly(payload);
        HasSwitchoverStart |= command == MigrationCommand.SwitchoverStart;
        _target.OnCommand(command, payload);
    }

    /// <summary>After a section's data: its footer, if this stream has them.</summary>
    private void ReadFooter(uint sectionId)
    {
        if (_hasFooters is false)
        {
            return;
        }

        ulong at = _reader.Position;
        byte marker = _reader.PeekByte();
        _hasFooters ??= marker == SectionType.Footer;
        if (_hasFooters is false)
        {
            return;
        }

        if (marker != SectionType.Footer)
        {
            throw _reader.Malformed(at, $"0x{marker:x2} where the section's footer (0x{SectionType.Footer:x2}) should be");
        }

        _reader.ReadByte();
        uint id = _reader.ReadUInt32();
        if (id != sectionId)
        {
            throw _reader.Malformed(at, $"the footer names section {id}, but section {sectionId} ends here");
        }
    }
}
