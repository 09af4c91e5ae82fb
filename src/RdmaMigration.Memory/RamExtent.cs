namespace RdmaMigration.Memory;

/// <summary>A run of bytes in a RAM block that is either backed by memory or a hole.</summary>
/// <param name="Offset">First byte, relative to the block's start.</param>
/// <param name="Length">Bytes in the run, at least 1.</param>
/// <param name="IsData">True if memory backs the run. False for a hole: it reads as zero, and reading it through the mapping would allocate it.</param>
internal readonly record struct RamExtent(ulong Offset, ulong Length, bool IsData)
{
    /// <summary>The first byte after the run.</summary>
    public ulong End => Offset + Length;
}
