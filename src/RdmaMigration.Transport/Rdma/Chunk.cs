namespace RdmaMigration.Transport;

/// <summary>The unit of dynamic registration, 1 MiB counted from a block's start; a block's last one may be shorter (PROTOCOL.md, Registration).</summary>
internal static class Chunk
{
    public const int Shift = 20;
    public const ulong Size = 1UL << Shift;

    /// <summary>Where the chunk begins that holds an offset.</summary>
    public static ulong Start(ulong offset) => offset & ~(Size - 1);
}
