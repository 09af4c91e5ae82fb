using System.Buffers;

namespace RdmaMigration.Streams;

/// <summary>
/// Keeps every section that no other handler reads. Such a section has no length, so its end can only be guessed, and that is done here alone: from the first
/// of them on everything is kept until RAM goes on, a command comes, or the stream is over.
/// </summary>
internal sealed class OpaqueSections : ISectionHandler, IDisposable
{
    /// <summary>What a run costs besides its bytes, for the bound.</summary>
    private const int RunCost = 32;

    private readonly KeptBytes _kept;
    private readonly StreamEndFinder _finder;
    private readonly List<OpaqueRun> _runs = [];
    private readonly SectionBorder _border;
    private readonly SourceReader _reader;
    private readonly SectionFooters _footers;
    private readonly CommandReader _commands;
    private readonly RamSections _ram;
    private readonly IncomingStreamOptions _options;
    private long _ramStart;
    private long _runStart;
    private ulong _runOffset;
    private FoundEnd? _end;
    private bool _isFull;
    private bool _isHandedOver;

    public OpaqueSections(SourceReader reader, SectionFooters footers, CommandReader commands, RamSections ram, IncomingStreamOptions options)
    {
        _reader = reader;
        _footers = footers;
        _commands = commands;
        _ram = ram;
        _options = options;
        _kept = new KeptBytes(options.DeviceStateInMemory, options.SpillDirectory ?? Path.GetTempPath());
        _finder = new StreamEndFinder(_kept);
        _border = new SectionBorder(ram);
    }

    /// <summary>
    /// How long the source may be silent from here until the stream counts as over; infinite where it cannot be over, and where the source should close and the
    /// machine is not known to be complete. Readable from any thread.
    /// </summary>
    public TimeSpan Patience => _commands.HasReturnPath || !_options.SourceCloses ? _finder.Patience
        : IsComplete ? _options.SilenceTimeout
        : Timeout.InfiniteTimeSpan;

    /// <summary>A vmdescription that lists exactly the sections before it ends with the last byte. Readable from any thread.</summary>
    public bool IsComplete => _finder.IsComplete;

    /// <summary>Sections before the START section of "ram", with headers and footers.</summary>
    public ReadOnlySequence<byte> BeforeRam => _kept.Slice(0, _ramStart);

    /// <summary>Sections between those of "ram", with headers and footers.</summary>
    public ReadOnlySequence<byte> DuringRam => _kept.Slice(_ramStart, _runStart);

    /// <summary>Device sections and the end marker.</summary>
    public ReadOnlySequence<byte> Sections => _end is { } end ? _kept.Slice(_runStart, _runStart + end.SectionsLength) : default;

    /// <summary>Offset in the stream of the first byte of <see cref="Sections"/>.</summary>
    public ulong Offset => _runOffset;

    /// <summary>The runs that <see cref="BeforeRam"/> and <see cref="DuringRam"/> consist of.</summary>
    public IEnumerable<(ReadOnlySequence<byte> Bytes, ulong Offset)> EarlierRuns => _runs.Select(run => (_kept.Slice(run.Start, run.End), run.Offset));

    /// <summary>The JSON text, or null if the stream has none.</summary>
    public ReadOnlyMemory<byte>? VmDescription => _end?.VmDescription is { } text ? new ReadOnlyMemory<byte>(text) : default(ReadOnlyMemory<byte>?);

    /// <summary>Bytes that were read behind the end, which belong to nothing: a file that is padded.</summary>
    public long TrailingBytes => _end is { } end ? _kept.Length - _runStart - end.Length : 0;

    public StreamEnd WhyEnded => _end is { VmDescription: null } ? StreamEnd.SourceEnded : StreamEnd.VmDescription;

    /// <summary>Bytes of device state that went to a temporary file.</summary>
    public long SpilledBytes => _kept.Spilled;

    public SectionOutcome Read(in SectionHeader header, ulong at, BigLockState state)
    {
        _reader.Step = header.Step;
        if (_ram.Header is not null && _footers.Present is false && header.Type != SectionType.Full)
        {
            throw _reader.Unsupported(at, "this section comes before guest memory is complete, and without section footers its end cannot be found");
        }

        BeginRun(at);
        Span<byte> encoded = stackalloc byte[SectionHeader.MaxLength];
        Keep(encoded[..header.Encode(encoded)]);
        if (_ram.Header is null)
        {
            _reader.Step = $"{header.Step} before the START section of 'ram'";
        }

        return ReadRun(_ram.Header is null ? BorderKind.RamStart : BorderKind.RamSection);
    }

    /// <summary>Keeps everything up to the end of the stream.</summary>
    public void ReadToEnd()
    {
        _reader.Step = "device state";
        BeginRun(_reader.Position);
        ReadRun(BorderKind.None);
    }

    /// <summary>Gives the bytes to an owner who outlives this.</summary>
    public KeptBytes HandOver()
    {
        _isHandedOver = true;
        return _kept;
    }

    public void Dispose()
    {
        if (!_isHandedOver)
        {
            _kept.Dispose();
        }
    }

    private void BeginRun(ulong at)
    {
        _runStart = _kept.Length;
        _runOffset = at;
        _finder.Begin(_footers.Present);
    }

    private SectionOutcome ReadRun(BorderKind border)
    {
        while (true)
        {
            ReadOnlySpan<byte> buffered = _reader.Buffered;
            int length = _border.Find(buffered, border, _footers.Present, out bool isFound);
            Keep(buffered[..length]);
            _reader.Skip(length);
            if (isFound)
            {
                EndRun(border);
                return SectionOutcome.NextSection;
            }

            if ((_options.MayBeDisk && border == BorderKind.None && _finder.IsOver) || _isFull || !_reader.TryFill())
            {
                EndStream();
                return SectionOutcome.EndOfStream;
            }
        }
    }

    private void EndRun(BorderKind border)
    {
        _finder.Leave();
        _runs.Add(new OpaqueRun(_runStart, _kept.Length, _runOffset));
        _runStart = _kept.Length;
        _ramStart = border == BorderKind.RamStart ? _kept.Length : _ramStart;
    }

    private void EndStream()
    {
        ReadOnlySpan<byte> rest = _reader.Buffered;
        Keep(rest);
        _reader.Skip(rest.Length);
        if (_finder.Find() is not { } end)
        {
            throw new StreamFormatException(
                StreamFault.Truncated,
                _reader.Step,
                _reader.Position,
                $"the stream is truncated: the source ended after {_kept.Length - _runStart} bytes of device state without an end marker");
        }

        _footers.Present ??= end.HasFooters;
        _end = end;
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        _kept.Append(bytes);
        _finder.Append(bytes);
        if (IsTooMuch(_kept.Length))
        {
            // What follows the end may be a disk.
            _isFull = _finder.Find() is { } end && !IsTooMuch(_runStart + end.Length) ? true : throw TooLarge();
        }
    }

    private StreamFormatException TooLarge() => _reader.TooMuchDeviceState(_options.MaxDeviceState);

    private bool IsTooMuch(long kept) => (ulong)(kept + (RunCost * (long)_runs.Count)) > _options.MaxDeviceState;

    /// <summary>A run of sections that were kept.</summary>
    /// <param name="Start">Index of its first byte among those that are kept.</param>
    /// <param name="End">Index behind its last one.</param>
    /// <param name="Offset">Offset in the stream of its first byte.</param>
    private readonly record struct OpaqueRun(long Start, long End, ulong Offset);
}
