using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;

namespace RdmaMigration.Streams;

/// <summary>
/// Looks for the end marker and a vmdescription (00, 06, be32 length, JSON). Each byte is searched once, however small the pieces; a text is parsed only when
/// it ends at the last byte that has arrived, and once more for a few of them when no byte comes any more.
/// </summary>
internal sealed class VmDescriptionTail(ChunkedBytes bytes, bool hasFooters)
{
    /// <summary>Bytes of the vmdescription's marker and length.</summary>
    public const int HeaderLength = 1 + sizeof(uint);

    /// <summary>The longest vmdescription that is recognised; real ones have some 100 KiB.</summary>
    private const uint MaxLength = 16 << 20;

    // Device state may contain the byte pattern by chance or by a guest's intent. The true one is the last in the stream, so the latest few are
    // enough, and bound the work.
    private const int MaxCandidates = 16;

    private readonly Queue<(long Start, long End)> _candidates = new(MaxCandidates);
    private long _scanned;

    private VmDescription? _proven;

    /// <summary>
    /// Where the last vmdescription ends that lists exactly the device sections before it, in bytes; 0 while there is none. Bytes of a device that happen to look
    /// like an end do not do that.
    /// </summary>
    public long ProvenEnd => _proven?.End ?? 0;

    /// <summary>To be called after each growth.</summary>
    public void Scan()
    {
        FindCandidates();
        foreach ((long start, long end) in _candidates)
        {
            if (end == bytes.Length && Read(start, end) is { } found && IsProven(found))
            {
                _proven = found;
            }
        }
    }

    /// <summary>
    /// No byte comes any more: the vmdescription that ends the stream. The last one that lists exactly the sections before it, whatever follows; else one that ends
    /// with the last byte. Null when there is none.
    /// </summary>
    public VmDescription? FindLast()
    {
        VmDescription? atEnd = null;
        foreach ((long start, long end) in _candidates)
        {
            if (end > bytes.Length || end <= ProvenEnd || Read(start, end) is not { } found)
            {
                continue;
            }

            _proven = IsProven(found) ? found : _proven;
            atEnd = end == bytes.Length ? found : atEnd;
        }

        return _proven ?? atEnd;
    }

    /// <summary>True if the bytes end with an end marker that nothing has to follow.</summary>
    public bool EndsWithMarker()
    {
        long marker = bytes.Length - 1;
        return marker >= 0 && bytes[marker] == SectionType.EndOfFile && IsPrecededByFooter(marker);
    }

    /// <summary>
    /// True if the footer before the end marker names a section that was opened: bytes of a device that happen to look like the end fail this.
    /// Without footers there is nothing to check.
    /// </summary>
    public bool LastFooterClosesASection()
    {
        if (!hasFooters || bytes.Length == 1)
        {
            return true;
        }

        Span<byte> opening = stackalloc byte[SectionType.FooterLength];
        bytes.CopyTo(bytes.Length - 1 - SectionType.FooterLength, opening);
        foreach (byte type in (ReadOnlySpan<byte>)[SectionType.Full, SectionType.End])
        {
            opening[0] = type;
            if (new SequenceReader<byte>(bytes.AsSequence()).TryReadTo(out ReadOnlySequence<byte> _, opening))
            {
                return true;
            }
        }

        return false;
    }

    private bool IsProven(VmDescription description)
    {
        DeviceWalker walker = new(description.Text, hasFooters);
        walker.Walk(bytes.AsSequence().Slice(0, description.Start - HeaderLength), 0);
        return walker.AccountsForAll;
    }

    private VmDescription? Read(long start, long end)
    {
        byte[] text = new byte[end - start];
        bytes.CopyTo(start, text);
        return IsJson(text) ? new VmDescription(start, end, text) : null;
    }

    /// <summary>Remembers each place where marker, length and first character of a vmdescription stand.</summary>
    private void FindCandidates()
    {
        // Position p is that of the 0x06; p + 5 is the text's first character.
        long last = bytes.Length - 1 - HeaderLength;
        for (long p = Math.Max(_scanned, 1); p <= last; p++)
        {
            ReadOnlySpan<byte> run = bytes.ContiguousFrom(p);
            int found = run[..(int)Math.Min(run.Length, last - p + 1)].IndexOf(SectionType.VmDescription);
            if (found < 0)
            {
                p += Math.Min(run.Length, last - p + 1) - 1;
                continue;
            }

            p += found;
            if (bytes[p - 1] == SectionType.EndOfFile && IsPrecededByFooter(p - 1))
            {
                Consider(p + HeaderLength);
            }
        }

        _scanned = Math.Max(_scanned, last + 1);
    }

    private void Consider(long start)
    {
        Span<byte> encoded = stackalloc byte[sizeof(uint)];
        bytes.CopyTo(start - sizeof(uint), encoded);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(encoded);
        if (length is < 2 or > MaxLength || bytes[start] is not ((byte)'{' or (byte)'"'))
        {
            return;
        }

        if (_candidates.Count == MaxCandidates)
        {
            _candidates.Dequeue();
        }

        _candidates.Enqueue((start, start + length));
    }

    private bool IsPrecededByFooter(long marker) =>
        !hasFooters || marker == 0 || (marker >= SectionType.FooterLength && bytes[marker - SectionType.FooterLength] == SectionType.Footer);

    /// <summary>True for a JSON object, also for one without its opening brace (QEMU 8.2 and later send that with send-configuration off).</summary>
    private static bool IsJson(byte[] text)
    {
        if (text[0] == (byte)'"')
        {
            text = [(byte)'{', .. text];
        }

        Utf8JsonReader reader = new(text, new JsonReaderOptions { MaxDepth = VmDescriptionReader.MaxDepth });
        try
        {
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>A vmdescription among the bytes.</summary>
    /// <param name="Start">Index of the text's first byte.</param>
    /// <param name="End">Index behind its last one.</param>
    /// <param name="Text">The JSON.</param>
    public sealed record VmDescription(long Start, long End, byte[] Text);
}
