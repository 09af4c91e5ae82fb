using System.Buffers;
using System.Buffers.Binary;

namespace RdmaMigration.Streams;

/// <summary>Where a stream ends, counted from the first byte of its device state.</summary>
/// <param name="SectionsLength">Bytes of device sections, with the end marker.</param>
/// <param name="Length">Those and the vmdescription.</param>
/// <param name="VmDescription">The JSON text; null if there is none.</param>
/// <param name="HasFooters">Sections end with a footer.</param>
internal readonly record struct FoundEnd(long SectionsLength, long Length, byte[]? VmDescription, bool HasFooters);

/// <summary>
/// Looks for the end of the stream in device state: an end marker, which a vmdescription follows (00, 06, be32 length, JSON) or nothing. Bytes of a device
/// may look like both, so a vmdescription is compared with the sections before it. Each byte is looked at once, however small the pieces.
/// </summary>
/// <param name="kept">Where the bytes are kept, each run's behind those of earlier ones.</param>
internal sealed class StreamEndFinder(KeptBytes kept)
{
    /// <summary>How many bytes behind an end are read to see whether the stream goes on: a file may be a disk, of which the stream is a small part.</summary>
    private const long MostTrailing = 16 << 20;

    /// <summary>The longest vmdescription that is recognised; real ones have some 100 KiB.</summary>
    private const uint MaxDescription = 16 << 20;

    // Device state may contain the byte pattern by chance or by a guest's intent. The latest few are enough, and bound the work.
    private const int MaxCandidates = 16;

    /// <summary>What stands before a text's first character: the end marker, the type, the length.</summary>
    private const int DescriptionHeader = 1 + 1 + sizeof(uint);

    /// <summary>How many bytes before a place are looked at: an end marker and the footer before it.</summary>
    private const int Before = SectionType.FooterLength + 1;

    /// <summary>How many bytes behind a place are looked at: the length and a text's first character.</summary>
    private const int Behind = sizeof(uint) + 1;

    /// <summary>How many bytes at the end of a piece are looked at again with the next one.</summary>
    private const int Overlap = Before + Behind;

    /// <summary>
    /// After an end that the vmdescription proves, one look at what follows: a guest that knows its own device state could imitate such an end, and the rest of
    /// the true stream follows at once.
    /// </summary>
    private static readonly TimeSpan s_afterProof = TimeSpan.FromMilliseconds(20);

    /// <summary>After a vmdescription that names every section in order, but not with its length.</summary>
    private static readonly TimeSpan s_afterNames = TimeSpan.FromSeconds(1);

    /// <summary>
    /// After an end marker, where most machines go on with a vmdescription, or one that proves nothing. As long as a source may take to start its stream.
    /// </summary>
    private static readonly TimeSpan s_afterMarker = TimeSpan.FromSeconds(30);

    private readonly OpenedSections _opened = new();
    private readonly DeviceListProof _proof = new(kept);
    private readonly Queue<(long Start, long End)> _candidates = new(MaxCandidates);
    private readonly byte[] _joint = new byte[2 * Overlap];
    private long _start;
    private bool? _hasFooters;
    private int _tailLength;
    private long _length;
    private long _lastNonZero = -1;
    private ulong _lastBytes;
    private Description? _latest;
    private Description? _proven;
    private long _patience = Timeout.InfiniteTimeSpan.Ticks;

    /// <summary>How long a source that does not close may be silent from here until the stream counts as over. Readable from any thread.</summary>
    public TimeSpan Patience => new(Volatile.Read(ref _patience));

    /// <summary>A vmdescription that names every section before it ends with the last byte. Readable from any thread.</summary>
    public bool IsComplete => Patience == s_afterProof || Patience == s_afterNames;

    /// <summary>An end that the vmdescription proves is so far behind that a file has something else there.</summary>
    public bool IsOver => _length - (_proven?.End ?? _length) > MostTrailing;

    /// <summary>Begins with a run of sections, before its first byte is kept.</summary>
    /// <param name="hasFooters">Sections end with a footer; null if that is not known.</param>
    public void Begin(bool? hasFooters)
    {
        _start = kept.Length;
        _hasFooters = hasFooters;
        _opened.Clear();
        _candidates.Clear();
        _tailLength = 0;
        _length = 0;
        _lastNonZero = -1;
        _latest = null;
        _proven = null;
        Leave();
    }

    /// <summary>The run is over, and the stream is not: the source may be silent for as long as it likes.</summary>
    public void Leave() => Volatile.Write(ref _patience, Timeout.InfiniteTimeSpan.Ticks);

    /// <summary>Looks at bytes that have been kept.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        // A place near the border of two pieces is looked at where both are joined.
        ReadOnlySpan<byte> head = bytes[..Math.Min(Overlap, bytes.Length)];
        head.CopyTo(_joint.AsSpan(_tailLength));
        ReadOnlySpan<byte> joint = _joint.AsSpan(0, _tailLength + head.Length);
        Scan(joint, Math.Max(0, _tailLength - Behind), _length - _tailLength);
        NoteNonZero(joint, _length - _tailLength);
        if (bytes.Length > head.Length)
        {
            Scan(bytes, Before, _length);
            NoteNonZero(bytes, _length);
            joint = bytes;
        }

        _length += bytes.Length;
        ReadOnlySpan<byte> tail = joint[^Math.Min(Overlap, joint.Length)..];
        tail.CopyTo(_joint);
        _tailLength = tail.Length;
        Evaluate();
        Volatile.Write(ref _patience, PatienceHere().Ticks);
    }

    /// <summary>No byte comes any more: the end of the stream, or null if there is none.</summary>
    public FoundEnd? Find()
    {
        // One that ends with the last byte, or before zeros that pad a file, is the true one: a guest that imitates an end has the rest of the stream behind
        // it.
        Description? atEnd = _latest is { } latest && latest.End > _lastNonZero ? latest : null;
        if ((atEnd is { Verdict: not DescriptionVerdict.Contradicted } ? atEnd : _proven ?? atEnd) is { } description)
        {
            ReadOnlySequence<byte> text = kept.Slice(_start + description.Start, _start + description.End);
            return new FoundEnd(description.Start - DescriptionHeader + 1, description.End, text.ToArray(), description.HasFooters);
        }

        return MarkerEnd() is { } end ? new FoundEnd(end, end, null, _hasFooters ?? end > 1) : null;
    }

    private TimeSpan PatienceHere()
    {
        if (_latest is { } latest && latest.End == _length)
        {
            return latest.Verdict switch
            {
                DescriptionVerdict.Proven => s_afterProof,
                DescriptionVerdict.Named => s_afterNames,
                DescriptionVerdict.Possible => s_afterMarker,
                _ => Timeout.InfiniteTimeSpan,
            };
        }

        return MarkerEnd() == _length ? s_afterMarker : Timeout.InfiniteTimeSpan;
    }

    /// <summary>
    /// Remembers each place where marker, length and first character of a vmdescription stand, and the ids of sections that may have been opened.
    /// </summary>
    private void Scan(ReadOnlySpan<byte> window, int from, long index)
    {
        // The type and what follows it must be there.
        int end = window.Length - DescriptionHeader + 1;
        for (int p = from; p < end; p++)
        {
            int found = window[p..end].IndexOfAny(SectionType.End, SectionType.Full, SectionType.VmDescription);
            if (found < 0)
            {
                return;
            }

            p += found;
            if (window[p] != SectionType.VmDescription)
            {
                _opened.Add(BinaryPrimitives.ReadUInt32BigEndian(window[(p + 1)..]));
            }
            else if (p > 0 && window[p - 1] == SectionType.EndOfFile && IsBehindFooter(window, p - 1, index))
            {
                Consider(window[(p + 1)..], index + p + 1 + sizeof(uint));
            }
        }
    }

    private bool IsBehindFooter(ReadOnlySpan<byte> window, int marker, long index) => _hasFooters is not true
        || index + marker == 0
        || (marker >= SectionType.FooterLength && window[marker - SectionType.FooterLength] == SectionType.Footer);

    private void Consider(ReadOnlySpan<byte> header, long start)
    {
        uint length = BinaryPrimitives.ReadUInt32BigEndian(header);
        if (length is < 2 or > MaxDescription || header[sizeof(uint)] is not ((byte)'{' or (byte)'"'))
        {
            return;
        }

        if (_candidates.Count == MaxCandidates)
        {
            _candidates.Dequeue();
        }

        _candidates.Enqueue((start, start + length));
    }

    /// <summary>Compares each text that is whole by now with the sections before it.</summary>
    private void Evaluate()
    {
        for (int i = _candidates.Count; i > 0; i--)
        {
            (long start, long end) = _candidates.Dequeue();
            if (end > _length)
            {
                _candidates.Enqueue((start, end));
                continue;
            }

            if (kept.Slice(_start + end - 1, _start + end).FirstSpan[0] != (byte)'}')
            {
                continue;
            }

            DescriptionVerdict verdict = _proof.Judge(_start, start, end, _hasFooters, out bool footers);
            if (verdict is DescriptionVerdict.None)
            {
                continue;
            }

            Description found = new(start, end, verdict, footers);
            _latest = found;
            _proven = verdict is DescriptionVerdict.Proven or DescriptionVerdict.Named ? found : _proven;
        }
    }

    /// <summary>Remembers the last byte that is not zero, and those before it.</summary>
    private void NoteNonZero(ReadOnlySpan<byte> window, long index)
    {
        int last = window.LastIndexOfAnyExcept((byte)0);
        if (last < 0 || index + last <= _lastNonZero)
        {
            return;
        }

        _lastNonZero = index + last;
        ReadOnlySpan<byte> tail = window[Math.Max(0, last + 1 - SectionType.FooterLength)..(last + 1)];
        _lastBytes = 0;
        foreach (byte value in tail)
        {
            _lastBytes = (_lastBytes << 8) | value;
        }
    }

    /// <summary>
    /// Behind an end marker that nothing but zeros follows. With footers the one before it must name a section that was opened: bytes of a device that happen
    /// to look like the end fail this. Without them only a marker that is the last byte counts.
    /// </summary>
    private long? MarkerEnd()
    {
        if (_length > 0 && _lastNonZero < 0)
        {
            return 1;
        }

        if (_hasFooters is false)
        {
            return _lastNonZero < _length - 1 ? _length : null;
        }

        // The id's last bytes may be zero, and then they are not among the last bytes that are not.
        for (int zeros = 0; zeros <= sizeof(uint); zeros++)
        {
            ulong footer = (_lastBytes << (8 * zeros)) & 0xff_ffff_ffff;
            long end = _lastNonZero + zeros + 1 + 1;
            if (footer >> 32 == SectionType.Footer && end <= _length && _opened.Contains((uint)footer))
            {
                return end;
            }
        }

        return null;
    }

    /// <summary>A vmdescription among the bytes.</summary>
    /// <param name="Start">Index of the text's first byte.</param>
    /// <param name="End">Index behind its last one.</param>
    /// <param name="Verdict">What its list of devices says.</param>
    /// <param name="HasFooters">The sections before it end with footers.</param>
    private readonly record struct Description(long Start, long End, DescriptionVerdict Verdict, bool HasFooters);

    /// <summary>Ids that follow a byte which opens an END or FULL section; takes every id as opened once there are more than any machine has.</summary>
    private sealed class OpenedSections
    {
        private const int MaxIds = 1 << 16;

        private readonly HashSet<uint> _ids = [];

        public void Clear() => _ids.Clear();

        public void Add(uint id)
        {
            if (_ids.Count < MaxIds)
            {
                _ids.Add(id);
            }
        }

        public bool Contains(uint id) => _ids.Count == MaxIds || _ids.Contains(id);
    }
}
