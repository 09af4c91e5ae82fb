using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace RdmaMigration.Streams;

/// <summary>What the device list of a vmdescription says of the sections before it.</summary>
internal enum DescriptionVerdict
{
    /// <summary>It is no vmdescription.</summary>
    None,

    /// <summary>It lists other devices than are there.</summary>
    Contradicted,

    /// <summary>Nothing: it lists no device, or the sections cannot be followed.</summary>
    Possible,

    /// <summary>It lists each section by name, in order, but not each with its length.</summary>
    Named,

    /// <summary>It lists exactly the sections before it, each with its length.</summary>
    Proven,
}

/// <summary>
/// Compares the device list of a vmdescription with the sections before it, by names and lengths alone: nothing is decoded, and the work is bounded by a few
/// times the bytes that have come.
/// </summary>
/// <param name="kept">Where the bytes are kept.</param>
internal sealed class DeviceListProof(KeptBytes kept)
{
    /// <summary>From the end marker to the text's first byte.</summary>
    private const int MarkerToText = 1 + 1 + sizeof(uint);

    private const long FreeWork = 64 << 20;
    private const int WorkPerByte = 8;

    /// <summary>What a text costs that turns out to be none: an exception.</summary>
    private const int WorkPerText = 4096;

    private long _work;

    /// <summary>Judges the vmdescription with text in [<paramref name="textStart"/>, <paramref name="textEnd"/>).</summary>
    /// <param name="start">Where the device state begins among the bytes that are kept.</param>
    /// <param name="textStart">Index of the text's first byte in the device state.</param>
    /// <param name="textEnd">Index behind its last one.</param>
    /// <param name="hasFooters">Sections end with a footer; null if that is not known.</param>
    /// <param name="footers">As <paramref name="hasFooters"/>, found out where that is null.</param>
    public DescriptionVerdict Judge(long start, long textStart, long textEnd, bool? hasFooters, out bool footers)
    {
        footers = hasFooters ?? true;
        if (_work > FreeWork + (WorkPerByte * kept.Length))
        {
            // Too much to look at: it may be one. The last one is, when the source closes behind it.
            return DescriptionVerdict.Possible;
        }

        _work += WorkPerText + textEnd - textStart;
        DeviceEntry[] devices;
        try
        {
            devices = DeviceListReader.Read(kept.Slice(start + textStart, start + textEnd));
        }
        catch (JsonException)
        {
            return DescriptionVerdict.None;
        }

        SequenceReader<byte> sections = new(kept.Slice(start, start + textStart - MarkerToText + 1));
        DescriptionVerdict verdict = Walk(devices, sections, footers);
        if (hasFooters is null && verdict is not (DescriptionVerdict.Proven or DescriptionVerdict.Named)
            && Walk(devices, sections, false) is DescriptionVerdict.Proven)
        {
            footers = false;
            return DescriptionVerdict.Proven;
        }

        return verdict;
    }

    private DescriptionVerdict Walk(DeviceEntry[] devices, SequenceReader<byte> sections, bool footers)
    {
        int next = -1;
        bool hasLengths = true;
        while (sections.TryRead(out byte type) && type != SectionType.EndOfFile)
        {
            _work += SectionHeader.MaxLength;
            if (!sections.TryReadBigEndian(out int id) || type is not (SectionType.Start or SectionType.Part or SectionType.End or SectionType.Full))
            {
                return DescriptionVerdict.Possible;
            }

            if (type != SectionType.Full)
            {
                if (!footers || !TrySkipToFooter((uint)id, ref sections))
                {
                    return DescriptionVerdict.Possible;
                }

                continue;
            }

            if (!TryReadName(ref sections, out string name, out uint instance))
            {
                return DescriptionVerdict.Possible;
            }

            // Those that it lists first may have come before RAM.
            int found = next < 0
                ? Array.FindIndex(devices, device => device.Is(name, instance))
                : next < devices.Length && devices[next].Is(name, instance)
                ? next
                : -1;
            if (found < 0)
            {
                return devices.Length == 0 || !hasLengths ? DescriptionVerdict.Possible : DescriptionVerdict.Contradicted;
            }

            next = found + 1;
            if (!TrySkipData(devices[found].Length, (uint)id, footers, ref sections))
            {
                hasLengths = false;
                if (!footers || !TrySkipToFooter((uint)id, ref sections))
                {
                    return DescriptionVerdict.Possible;
                }
            }
        }

        return next == devices.Length && sections.End ? hasLengths ? DescriptionVerdict.Proven : DescriptionVerdict.Named : DescriptionVerdict.Possible;
    }

    private static bool TryReadName(ref SequenceReader<byte> sections, out string name, out uint instance)
    {
        name = "";
        instance = 0;
        if (!sections.TryRead(out byte length) || sections.Remaining < length + (2 * sizeof(uint)))
        {
            return false;
        }

        name = Encoding.Latin1.GetString(sections.UnreadSequence.Slice(0, length));
        sections.Advance(length);
        sections.TryReadBigEndian(out int number);
        instance = (uint)number;
        sections.Advance(sizeof(uint));
        return true;
    }

    /// <summary>Skips data of a known length and its footer; stays where it was if that is not what stands there.</summary>
    private static bool TrySkipData(ulong? length, uint id, bool footers, ref SequenceReader<byte> sections)
    {
        if (length is not { } count || count > (ulong)sections.Remaining)
        {
            return false;
        }

        SequenceReader<byte> behind = sections;
        behind.Advance((long)count);
        Span<byte> footer = stackalloc byte[SectionType.FooterLength];
        if (footers ? !behind.IsNext(FooterOf(id, footer), advancePast: true) : !(
            behind.TryPeek(out byte next) && next is SectionType.Full or SectionType.EndOfFile))
        {
            return false;
        }

        sections = behind;
        return true;
    }

    private bool TrySkipToFooter(uint id, ref SequenceReader<byte> sections)
    {
        Span<byte> footer = stackalloc byte[SectionType.FooterLength];
        FooterOf(id, footer);
        long before = sections.Consumed;
        bool isFound = false;
        while (!isFound && sections.TryReadTo(out ReadOnlySequence<byte> _, footer))
        {
            isFound = sections.TryPeek(out byte next) && (next is SectionType.End or SectionType.Full or SectionType.Start or SectionType.Part
                || (next == SectionType.EndOfFile && sections.Remaining == 1));
        }

        _work += (isFound ? sections.Consumed : sections.Length) - before;
        return isFound;
    }

    private static Span<byte> FooterOf(uint id, Span<byte> footer)
    {
        footer[0] = SectionType.Footer;
        BinaryPrimitives.WriteUInt32BigEndian(footer[1..], id);
        return footer;
    }
}
