using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>How a page came.</summary>
internal enum PageEncoding
{
    Plain,
    Fill,
    Xbzrle,
    Compressed,
}

/// <summary>A section as it was met in the stream, before the end of the "ram" END section.</summary>
internal readonly record struct SectionRecord(SectionHeader Header, ulong Offset, ulong Length);

/// <summary>What the parser drives: guest memory, and who is told. Ranges passed are checked and lie within their block.</summary>
internal interface IStreamTarget
{
    void OnConfiguration(StreamConfiguration configuration);

    void OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks);

    void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload);

    void OnHook();

    /// <summary>The END section of "ram" has been read: no page comes any more, and device state follows.</summary>
    void OnRamEnd(StreamParser parser);

    /// <summary>A section's last byte has been read.</summary>
    void OnSection(in SectionRecord section);

    /// <summary>The page's memory, which the parser then fills. For <see cref="PageEncoding.Xbzrle"/> it holds the page's last content.</summary>
    Span<byte> Page(int block, ulong offset, int length, PageEncoding encoding);

    /// <summary>Every byte of the page becomes <paramref name="value"/>.</summary>
    /// <param name="block">Index of the block.</param>
    /// <param name="offset">The page.</param>
    /// <param name="length">Bytes in a page.</param>
    /// <param name="value">The byte.</param>
    /// <param name="isFirst">Nothing has come in the stream for this page before.</param>
    void Fill(int block, ulong offset, int length, byte value, bool isFirst);
}
