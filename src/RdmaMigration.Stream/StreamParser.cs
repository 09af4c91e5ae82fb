using RdmaMigration.VmState;

namespace RdmaMigration.Streams;

/// <summary>
/// Reads one stream in steps: the beginning, then section after section until the stream is over. Each section goes to the handler that the table names. RAM is
/// decoded. The devices of a machine of this process are decoded too, and the end marker ends the stream; of another machine everything else is kept as bytes,
/// up to an end that has to be found.
/// </summary>
internal sealed class StreamParser
{
    private readonly SourceReader _reader;
    private readonly IStreamTarget _target;
    private readonly IncomingStreamOptions _options;
    private readonly SectionFooters _footers;
    private readonly CommandReader _commands;
    private readonly SectionTable _table;
    private readonly RamSections _ramSections;
    private volatile bool _hasBegun;
    private bool _isRamEndReported;
    private ulong _packaged;

    /// <summary>Prepares to read a stream.</summary>
    /// <param name="source">Where the bytes come from.</param>
    /// <param name="target">What is driven.</param>
    /// <param name="options">Bounds and defaults.</param>
    /// <param name="devices">The devices of a machine of this process, which are all that the stream may have; null to keep any as bytes.</param>
    public StreamParser(IStreamSource source, IStreamTarget target, IncomingStreamOptions options, DeviceList? devices = null)
    {
        _reader = new SourceReader(source);
        _target = target;
        _options = options;
        _footers = new SectionFooters(_reader);
        _commands = new CommandReader(_reader, target, takesPackages: devices is not null || target.TakesPackages);
        Ram = new ReceivedRam(options, _reader);
        _ramSections = new RamSections(_reader, _footers, Ram, target);
        Opaque = new OpaqueSections(_reader, _footers, _commands, _ramSections, options);
        Devices = devices is null ? null : new DeviceSections(_reader, _footers, target, devices, options.MaxDeviceState);
        _table = new SectionTable(Devices is null ? Opaque : Devices);
        _table.Add(SectionType.Start, Wire.RamSection, 0, _ramSections);
        Digests = new RamDigests(_reader, _footers, Ram);
        _table.Add(SectionType.Full, RamDigests.Section, 0, Digests);
    }

    public StreamConfiguration Configuration { get; private set; } = null!;

    /// <summary>The machine type has come, or the stream has none. Any thread.</summary>
    public bool HasBegun => _hasBegun;

    /// <summary>Which pages have come.</summary>
    public ReceivedRam Ram { get; }

    /// <summary>What the source says that RAM holds.</summary>
    public RamDigests Digests { get; }

    /// <summary>The devices of a machine of this process; null for a machine whose devices are kept as bytes.</summary>
    public DeviceSections? Devices { get; }

    /// <summary>Everything but RAM, as bytes; empty if there are <see cref="Devices"/>.</summary>
    public OpaqueSections Opaque { get; }

    public bool HasSwitchoverStart => _commands.HasSwitchoverStart;

    public bool HasFooters => _footers.Present ?? false;

    /// <summary>The section id of "ram"; null when the stream has no RAM.</summary>
    public uint? RamSectionId => _ramSections.Header?.Id;

    /// <summary>Bytes of the stream, without what follows its end.</summary>
    public ulong TotalBytes => _reader.Position - (ulong)Opaque.TrailingBytes;

    /// <summary>An error at the place that the reader has reached.</summary>
    public StreamFormatException Incomplete(string step, string detail) => new(StreamFault.Incomplete, step, _reader.Position, detail);

    /// <summary>Reads the header and the configuration.</summary>
    public void Begin()
    {
        ConfigurationReader.ReadHeader(_reader);
        Configuration = ConfigurationReader.Read(_reader, _options.TargetPageSize, () => _hasBegun = true);
        Ram.Begin(Configuration);
        _target.OnConfiguration(Configuration);
    }

    /// <summary>
    /// Reads one section or command, or, where devices are kept as bytes, everything up to the end once RAM is complete; false when the stream is over.
    /// </summary>
    /// <param name="state">Whether the caller holds the big lock.</param>
    public bool ReadNext(BigLockState state)
    {
        if (_ramSections.HasEnded && Devices is null)
        {
            Opaque.ReadToEnd();
            return false;
        }

        _reader.Step = "section type";
        ulong at = _reader.Position;
        byte type = _reader.PeekByte();
        switch (type)
        {
            case SectionType.Command:
                _reader.ReadByte();
                if (_commands.Read(at) is { } length)
                {
                    ReadPackage(length, state);
                }

                return true;
            case SectionType.Start or SectionType.Full:
                _reader.ReadByte();
                return ReadOpened(type, at, state);
            case SectionType.Part or SectionType.End:
                _reader.ReadByte();
                return ReadContinued(type, at, state);
            case SectionType.EndOfFile:
                ReadEnd(at);
                return false;
            default:
                throw _reader.Malformed(at, $"0x{type:x2} is no section type");
        }
    }

    /// <summary>Reads the whole stream.</summary>
    /// <param name="state">Whether the caller holds the big lock, which is the truth until this returns.</param>
    public void Run(BigLockState state)
    {
        state.Assert();
        Begin();
        while (ReadNext(state))
        {
        }

        End();
        state.Assert();
    }

    /// <summary>After the last step: what was found out last is made known.</summary>
    public void End()
    {
        Configuration.PageSize = Ram.PageSize;
        if (!_ramSections.HasEnded)
        {
            if (Ram.SawHook)
            {
                throw Incomplete("guest memory", "the stream ends without an END section of 'ram', and RDMA does not show whether every page has come");
            }

            if (_ramSections.Header is null)
            {
                _target.OnRamBlocks([]);
            }

            _target.OnRamEnd(this);
        }
    }

    /// <summary>
    /// Reads a package into memory, then the nested stream that it is: sections of devices and commands, up to its last byte or an end marker there.
    /// </summary>
    /// <param name="length">Its length, as the command gives it.</param>
    /// <param name="state">Whether the caller holds the big lock, as it must not: the source may take its time.</param>
    private void ReadPackage(uint length, BigLockState state)
    {
        state.Assert();
        if (state is BigLockState.Held)
        {
            throw new InvalidOperationException("a package is read with the big lock held");
        }

        _reader.Step = $"package of {length} bytes";
        if (length > Wire.MaxPackage)
        {
            throw _reader.TooLarge($"a package has at most {Wire.MaxPackage} bytes");
        }

        if (length > _options.MaxDeviceState - _packaged)
        {
            throw _reader.TooMuchDeviceState(_options.MaxDeviceState);
        }

        _packaged += length;
        ulong at = _reader.Position;
        byte[] bytes = _reader.ReadGrowing((int)length);
        _target.OnPackage(bytes, at);
        if (Devices is null)
        {
            return;
        }

        bool isLoaded = false;
        try
        {
            _reader.EnterPackage(bytes);
            while (!_reader.IsAtPackageEnd && ReadNext(state))
            {
            }

            _reader.LeavePackage();
            isLoaded = true;
        }
        finally
        {
            _target.OnPackageEnd(isLoaded);
        }

        state.Assert();
    }

    private bool ReadOpened(byte type, ulong at, BigLockState state)
    {
        _reader.Step = "section header";
        SectionHeader header = SectionHeader.ReadNamed(_reader, type);
        return Read(_table.Open(header), header, at, state);
    }

    private bool ReadContinued(byte type, ulong at, BigLockState state)
    {
        _reader.Step = "section header";
        uint id = _reader.ReadUInt32();
        if (_ramSections.Header is null)
        {
            throw _reader.Malformed(at, $"a PART or END section (id {id}) before the START section of 'ram'");
        }

        return Read(_table.Continue(type, id, out SectionHeader header), header, at, state);
    }

    private bool Read(ISectionHandler handler, in SectionHeader header, ulong at, BigLockState state)
    {
        if (_reader.IsInPackage && handler != Devices)
        {
            _reader.Step = header.Step;
            throw _reader.Malformed(at, "this section is in a package, which may have only devices and commands");
        }

        _target.OnSectionHeader(header);
        bool isOver = handler.Read(header, at, state) == SectionOutcome.EndOfStream;
        if (_ramSections.HasEnded && !_isRamEndReported)
        {
            _isRamEndReported = true;
            _target.OnRamEnd(this);
        }

        return !isOver;
    }

    private void ReadEnd(ulong at)
    {
        if (_reader.IsInPackage)
        {
            _reader.Step = "end of package";
            _reader.ReadByte();
            if (!_reader.IsAtPackageEnd)
            {
                throw _reader.Malformed(at, "the package goes on after its end marker");
            }
        }
        else if (Devices is null)
        {
            Opaque.ReadToEnd();
        }
        else
        {
            Devices.ReadEnd();
        }
    }
}
