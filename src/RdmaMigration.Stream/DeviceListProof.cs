using System.Buffers;
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
            if (type == SectionType.Command && SectionSteps.TryEnterPackage(ref sections))
            {
                continue;
            }

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

            if (!SectionSteps.TryReadName(ref sections, out string name, out uint instance, out _))
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
            if (!SectionSteps.TrySkipData(devices[found].Length, (uint)id, footers, ref sections))
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

    private bool TrySkipToFooter(uint id, ref SequenceReader<byte> sections)
    {
        long before = sections.Consumed;
        bool isFound = SectionSteps.TrySkipToFooter(id, ref sections);
        _work += (isFound ? sections.Consumed : sections.Length) - before;
        return isFound;
    }
}
