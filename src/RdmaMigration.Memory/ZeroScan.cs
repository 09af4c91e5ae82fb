using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace RdmaMigration.Memory;

/// <summary>Tells whether memory is all zero. Thread-safe; does not allocate.</summary>
internal static class ZeroScan
{
    /// <summary>
    /// True if every byte is zero (an empty span is). Stops at the first 256 bytes that are not. Four vectors a step keep enough loads in flight to read memory
    /// beyond the caches as fast as it comes; a look at the first word before them makes pages that are zero slower and others no faster. Without 512-bit
    /// vectors the runtime makes each of narrower ones.
    /// </summary>
    public static bool IsZero(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<Vector512<byte>> vectors = MemoryMarshal.Cast<byte, Vector512<byte>>(bytes);
        int i = 0;
        for (; i + 4 <= vectors.Length; i += 4)
        {
            if ((vectors[i] | vectors[i + 1] | vectors[i + 2] | vectors[i + 3]) != Vector512<byte>.Zero)
            {
                return false;
            }
        }

        int done = i * Vector512<byte>.Count;
        return done == bytes.Length || !bytes[done..].ContainsAnyExcept((byte)0);
    }
}
