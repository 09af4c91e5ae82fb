namespace RdmaMigration.Memory;

/// <summary>Tells whether memory is all zero. Thread-safe; does not allocate.</summary>
public static class ZeroScan
{
    /// <summary>True if every byte is zero (an empty span is). Vectorised; stops at the first vector that is not zero.</summary>
    public static bool IsZero(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0);
}
