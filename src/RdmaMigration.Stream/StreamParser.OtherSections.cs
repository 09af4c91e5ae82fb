using System.Buffers.Binary;

namespace RdmaMigration.Streams;

/// <summary>
/// Sections that are not "ram", while RAM is still coming. They have no length; they are kept as bytes up to what can only be their end
/// (protocol E.1).
/// </summary>
internal sealed partial class StreamParser
{
    private const int MaxOtherSections = 4096;

    private static ReadOnlySpan<byte> RamStartTail => [3, (byte)'r', (byte)'a', (byte)'m', 0, 0, 0, 0, 0, 0, 0, (byte)Wire.RamVersion];

    /// <summary>
    /// Keeps everything from <paramref name="first"/> on until the START section of "ram", whose header is recognised as a whole. Device state
    /// that comes before RAM has neither a length nor, before the first RAM section, a footer that could be relied on.
    /// </summary>
    private SectionHeader SkipToRamStart(in SectionHeader first, ref ulong at)
    {
        const int HeaderLength = 1 + sizeof(uint) + 12;
        _reader.Step = $"{first.Step} before the START section of 'ram'";
        BeforeRamOffset = at;
        AppendHeader(BeforeRam, first);
        _reader.RecordInto(BeforeRam);
        Span<byte> window = stackalloc byte[HeaderLength];
        window.Clear();
        while (!(window[0] == SectionType.Start && window[^RamStartTail.Length..].SequenceEqual(RamStartTail)))
        {
            window[1..].CopyTo(window);
            window[^1] = _reader.ReadByte();
            CheckKept();
        }

        _reader.RecordInto(null);
        BeforeRam.Truncate(BeforeRam.Length - HeaderLength);
        at = _reader.Position - HeaderLength;
        uint id = BinaryPrimitives.ReadUInt32BigEndian(window[1..]);
        return new SectionHeader(SectionType.Start, id, Wire.RamSection, 0, Wire.RamVersion);
    }

    /// <summary>Keeps a section up to and including its footer, which must be followed by a byte that can start the next section.</summary>
    private void ReadOtherSection(in SectionHeader header, ulong at)
    {
        _reader.Step = header.Step;
        if (!HasFooters)
        {
            throw _reader.Unsupported(at, "this section comes before guest memory is complete, and without section footers its end cannot be found");
        }

        if (header.Type is SectionType.Start or SectionType.Full)
        {
            _otherSections[header.Id] = header.Name;
            if (_otherSections.Count > MaxOtherSections)
            {
                throw _reader.Malformed(at, $"more than {MaxOtherSections} sections besides 'ram' while guest memory comes");
            }
        }

        AppendHeader(AmidRam, header);
        _reader.RecordInto(AmidRam);
        ulong footer = ((ulong)SectionType.Footer << 32) | header.Id;
        ulong window = 0;
        do
        {
            window = ((window << 8) | _reader.ReadByte()) & 0xff_ffff_ffff;
            CheckKept();
        }
        while (window != footer || !StartsSection(_reader.PeekByte()));

        _reader.RecordInto(null);
        _target.OnSection(new SectionRecord(header, at, _reader.Position - at));
    }

    private static bool StartsSection(byte marker) =>
        marker is SectionType.Start or SectionType.Part or SectionType.End or SectionType.Full or SectionType.Command;

    private static void AppendHeader(ChunkedBytes kept, in SectionHeader header)
    {
        Span<byte> bytes = stackalloc byte[SectionHeader.MaxLength];
        kept.Append(bytes[..header.Encode(bytes)]);
    }

    private void CheckKept()
    {
        if ((ulong)(BeforeRam.Length + AmidRam.Length) > _options.MaxDeviceState)
        {
            throw _reader.TooLarge(_options.MaxDeviceState);
        }
    }
}
