using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace RdmaMigration.Streams;

/// <summary>Steps through sections that were kept as bytes. A section has no length: a description gives it, and the footer proves it.</summary>
internal static class SectionSteps
{
    /// <summary>
    /// Behind the type of a command: moves to the first byte of the package if it is PACKAGED. What a package has can be read like what surrounds it. Stays
    /// where it was if it is another command.
    /// </summary>
    public static bool TryEnterPackage(ref SequenceReader<byte> sections)
    {
        SequenceReader<byte> command = sections;
        if (!command.TryReadBigEndian(out short code) || !command.TryReadBigEndian(out short payload) || !command.TryReadBigEndian(out int length)
            || code != (short)MigrationCommand.Packaged || payload != sizeof(uint) || length is < 0 or > Wire.MaxPackage)
        {
            return false;
        }

        sections = command;
        return true;
    }

    /// <summary>Reads what follows the id of a START or FULL section. False when the bytes end before.</summary>
    public static bool TryReadName(ref SequenceReader<byte> sections, out string name, out uint instance, out uint version)
    {
        name = "";
        instance = version = 0;
        if (!sections.TryRead(out byte length) || sections.Remaining < length + (2 * sizeof(uint)))
        {
            return false;
        }

        name = Encoding.Latin1.GetString(sections.UnreadSequence.Slice(0, length));
        sections.Advance(length);
        sections.TryReadBigEndian(out int first);
        sections.TryReadBigEndian(out int second);
        (instance, version) = ((uint)first, (uint)second);
        return true;
    }

    /// <summary>Skips data of a known length and its footer; stays where it was if that is not what stands there.</summary>
    public static bool TrySkipData(ulong? length, uint id, bool footers, ref SequenceReader<byte> sections)
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

    /// <summary>Moves behind the first footer that a section or the end marker follows. False when there is none.</summary>
    public static bool TrySkipToFooter(uint id, ref SequenceReader<byte> sections)
    {
        Span<byte> footer = stackalloc byte[SectionType.FooterLength];
        FooterOf(id, footer);
        bool isFound = false;
        while (!isFound && sections.TryReadTo(out ReadOnlySequence<byte> _, footer))
        {
            isFound = sections.TryPeek(out byte next) && (next is SectionType.End or SectionType.Full or SectionType.Start or SectionType.Part
                || (next == SectionType.EndOfFile && sections.Remaining == 1));
        }

        return isFound;
    }

    private static Span<byte> FooterOf(uint id, Span<byte> footer)
    {
        footer[0] = SectionType.Footer;
        BinaryPrimitives.WriteUInt32BigEndian(footer[1..], id);
        return footer;
    }
}
