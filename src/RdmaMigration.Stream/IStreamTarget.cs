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

    /// <summary>Packages of a machine whose devices are kept as bytes are taken by <see cref="OnPackage"/>; false to refuse them.</summary>
    bool TakesPackages { get; }

    /// <summary>A package is in memory. Of a machine of this process it is loaded next.</summary>
    /// <param name="bytes">The package.</param>
    /// <param name="at">Offset in the stream of its first byte.</param>
    void OnPackage(byte[] bytes, ulong at);

    /// <summary>The load of a package has ended.</summary>
    void OnPackageEnd(bool isLoaded);

    /// <summary>Runs a step with the big lock held, and waits for it. The step does not block. What it throws is thrown here.</summary>
    /// <param name="state">Whether the caller holds the lock, as it must not.</param>
    /// <param name="step">The step, which is told that the lock is held.</param>
    void WithBigLock(BigLockState state, Action<BigLockState> step);

    /// <summary>A section's header has been read.</summary>
    void OnSectionHeader(in SectionHeader header);

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
