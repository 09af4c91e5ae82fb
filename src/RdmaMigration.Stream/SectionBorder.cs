using System.Buffers.Binary;

namespace RdmaMigration.Streams;

/// <summary>What ends a run of opaque sections.</summary>
internal enum BorderKind
{
    /// <summary>Nothing but the end of the stream.</summary>
    None,

    /// <summary>The START section of "ram".</summary>
    RamStart,

    /// <summary>A PART or END section of "ram", or a command.</summary>
    RamSection,
}

/// <summary>
/// Finds where sections that are understood go on behind opaque ones, by more than a marker: the whole header of RAM's START section; or a footer, the type
/// and id of a RAM section and an entry that can only be RAM's; or a footer and a command that can come there.
/// </summary>
internal sealed class SectionBorder(RamSections ram)
{
    private const int StartHeaderLength = 1 + sizeof(uint) + 12;

    private enum Match
    {
        No,

        /// <summary>So far; more bytes are needed.</summary>
        Partly,
        Yes,
    }

    private static ReadOnlySpan<byte> RamStartTail => [3, (byte)'r', (byte)'a', (byte)'m', 0, 0, 0, 0, 0, 0, 0, (byte)Wire.RamVersion];

    /// <summary>
    /// Returns how many of the bytes certainly belong to the run. What follows them is the border if it is found, else it may be its beginning.
    /// </summary>
    public int Find(ReadOnlySpan<byte> bytes, BorderKind kind, bool? hasFooters, out bool isFound)
    {
        isFound = false;
        if (kind == BorderKind.None)
        {
            return bytes.Length;
        }

        bool behindFooter = kind == BorderKind.RamSection && hasFooters is not false;
        for (int p = 0; p < bytes.Length; p++)
        {
            ReadOnlySpan<byte> rest = bytes[p..];
            int found = behindFooter ? rest.IndexOf(SectionType.Footer)
                : kind == BorderKind.RamStart ? rest.IndexOf(SectionType.Start)
                : rest.IndexOfAny(SectionType.Part, SectionType.End);
            if (found < 0)
            {
                return bytes.Length;
            }

            p += found;
            Match match = behindFooter
                ? MatchFooter(bytes[p..])
                : kind == BorderKind.RamStart
                ? MatchRamStart(bytes[p..])
                : MatchRamSection(bytes[p..], isNamed: true);
            if (match != Match.No)
            {
                isFound = match == Match.Yes;
                return p + (isFound && behindFooter ? SectionType.FooterLength : 0);
            }
        }

        return bytes.Length;
    }

    private static Match MatchRamStart(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> tail = bytes[Math.Min(bytes.Length, 1 + sizeof(uint))..];
        tail = tail[..Math.Min(tail.Length, RamStartTail.Length)];
        return !RamStartTail.StartsWith(tail) ? Match.No : bytes.Length < StartHeaderLength ? Match.Partly : Match.Yes;
    }

    private Match MatchFooter(ReadOnlySpan<byte> bytes) => bytes.Length <= SectionType.FooterLength
        ? Match.Partly
        : bytes[SectionType.FooterLength] switch
        {
            SectionType.Part or SectionType.End => MatchRamSection(bytes[SectionType.FooterLength..], isNamed: false),
            SectionType.Command => MatchCommand(bytes[(SectionType.FooterLength + 1)..]),
            _ => Match.No,
        };

    /// <summary>Commands that follow sections: SWITCHOVER_START, and those that begin postcopy, which are refused by name.</summary>
    private static Match MatchCommand(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < sizeof(uint))
        {
            return Match.Partly;
        }

        ushort length = BinaryPrimitives.ReadUInt16BigEndian(bytes[sizeof(ushort)..]);
        bool fits = (MigrationCommand)BinaryPrimitives.ReadUInt16BigEndian(bytes) switch
        {
            MigrationCommand.SwitchoverStart or MigrationCommand.PostcopyListen or MigrationCommand.PostcopyRun => length == 0,
            MigrationCommand.Ping or MigrationCommand.Packaged => length == sizeof(uint),
            _ => false,
        };
        return fits ? Match.Yes : Match.No;
    }

    /// <param name="bytes">From the section's type on.</param>
    /// <param name="isNamed">Only an entry with its block's name is enough.</param>
    private Match MatchRamSection(ReadOnlySpan<byte> bytes, bool isNamed)
    {
        const int HeaderLength = 1 + sizeof(uint);
        Span<byte> id = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(id, ram.Header!.Value.Id);
        ReadOnlySpan<byte> found = bytes[1..Math.Min(bytes.Length, HeaderLength)];
        if (!id.StartsWith(found))
        {
            return Match.No;
        }

        if (bytes.Length < HeaderLength + sizeof(ulong))
        {
            return Match.Partly;
        }

        ulong entry = BinaryPrimitives.ReadUInt64BigEndian(bytes[HeaderLength..]);
        return ram.IsPlausible(entry, out bool hasName) && (hasName || !isNamed)
            ? hasName ? MatchName(bytes[(HeaderLength + sizeof(ulong))..]) : Match.Yes
            : Match.No;
    }

    private Match MatchName(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty || bytes.Length < 1 + bytes[0])
        {
            return Match.Partly;
        }

        return ram.TryGetBlock(bytes.Slice(1, bytes[0]), out _) ? Match.Yes : Match.No;
    }
}
