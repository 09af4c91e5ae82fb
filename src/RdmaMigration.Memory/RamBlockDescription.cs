namespace RdmaMigration.Memory;

/// <summary>One RAM block as a migration source announces it.</summary>
/// <param name="Name">The block's idstr, 1..255 printable ASCII characters, unique in its list.</param>
/// <param name="Length">The block's used length in bytes: a positive multiple of <see cref="RamBlock.LengthUnit"/>.</param>
internal readonly record struct RamBlockDescription(string Name, ulong Length)
{
    /// <summary>The block's page size in bytes at the source, or null if the source did not say.</summary>
    public ulong? PageSize { get; init; }

    /// <summary>Take the block's memory from this host's huge pages.</summary>
    public bool HugePages { get; init; }

    /// <summary>The block's guest address, or null if the source did not say (it does so with x-ignore-shared only).</summary>
    public ulong? GuestAddress { get; init; }
}
