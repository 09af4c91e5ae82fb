using System.Buffers.Binary;
using System.IO.Hashing;

namespace RdmaMigration.Memory;

/// <summary>
/// A digest of what a RAM block holds, wherever it has holes: XXH128 over each 4 KiB that are not all zero, in order, with their offset before them (u64,
/// little-endian). It finds errors, not forgeries: XXH128 is no cryptographic hash.
/// </summary>
internal static class RamDigest
{
    /// <summary>Reads the whole block without its holes. Any thread; nothing may write to the block meanwhile.</summary>
    /// <param name="block">The block.</param>
    /// <param name="cancellation">Looked at for each 4 KiB that are not zero.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="RamAccessException">The kernel did not say where the holes are.</exception>
    public static UInt128 Of(RamBlock block, CancellationToken cancellation)
    {
        XxHash128 hash = new();
        Span<byte> place = stackalloc byte[sizeof(ulong)];
        foreach (RamExtent extent in block.ExtentsOf(0, block.Length))
        {
            for (ulong offset = extent.Offset; extent.IsData && offset < extent.End; offset += RamBlock.LengthUnit)
            {
                ReadOnlySpan<byte> page = block.Slice(offset, (int)RamBlock.LengthUnit);
                if (!ZeroScan.IsZero(page))
                {
                    cancellation.ThrowIfCancellationRequested();
                    BinaryPrimitives.WriteUInt64LittleEndian(place, offset);
                    hash.Append(place);
                    hash.Append(page);
                }
            }
        }

        return hash.GetCurrentHashAsUInt128();
    }
}
