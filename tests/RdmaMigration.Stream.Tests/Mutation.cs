using System.Buffers.Binary;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>A stream to damage.</summary>
/// <param name="Bytes">The whole stream.</param>
/// <param name="Structure">Offsets of bytes whose damage matters most: not the content of pages.</param>
internal sealed record FuzzBase(byte[] Bytes, int[] Structure)
{
    public static FuzzBase Of(StreamBuilder builder) => new(builder.ToArray(), builder.Structure);

    /// <summary>A stream of unknown layout: its structure is dense near its ends.</summary>
    public static FuzzBase Of(byte[] bytes) =>
        new(bytes, [.. Enumerable.Range(0, 512), .. Enumerable.Range(0, bytes.Length).Where(i => i >= bytes.Length - 8192 && i >= 512)]);
}

/// <summary>Damages a stream in ways that a hostile or broken peer could. The same seed gives the same damage.</summary>
internal static class Mutation
{
    private static readonly ulong[] s_extremes =
        [
            0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
            1UL << 40, long.MaxValue, 1UL << 63, ulong.MaxValue - 0xfff, ulong.MaxValue,
        ];

    public static byte[] Apply(FuzzBase original, byte[] other, Random random)
    {
        byte[] bytes = [.. original.Bytes];
        for (int i = random.Next(2) == 0 ? 1 : random.Next(1, 5); i > 0 && bytes.Length > 16; i--)
        {
            int at = Position(bytes, original.Structure, random);
            bytes = random.Next(7) switch
            {
                0 => FlipBit(bytes, at, random),
                1 => bytes[..at],
                2 => Splice(bytes, at, other, random),
                3 => Remove(bytes, at, random),
                4 => Repeat(bytes, at, random),
                _ => Extreme(bytes, at, random),
            };
        }

        return bytes;
    }

    private static int Position(byte[] bytes, int[] structure, Random random) =>
        random.Next(5) == 0 ? random.Next(bytes.Length) : Math.Min(structure[random.Next(structure.Length)], bytes.Length - 1);

    private static byte[] FlipBit(byte[] bytes, int at, Random random)
    {
        bytes[at] ^= (byte)(1 << random.Next(8));
        return bytes;
    }

    private static byte[] Splice(byte[] bytes, int at, byte[] other, Random random)
    {
        int from = random.Next(other.Length);
        int length = random.Next(1, Math.Min(other.Length - from, 9000) + 1);
        return [.. bytes.AsSpan(0, at), .. other.AsSpan(from, length), .. bytes.AsSpan(at)];
    }

    private static byte[] Remove(byte[] bytes, int at, Random random)
    {
        int length = Math.Min(random.Next(1, 64), bytes.Length - at);
        return [.. bytes.AsSpan(0, at), .. bytes.AsSpan(at + length)];
    }

    private static byte[] Repeat(byte[] bytes, int at, Random random)
    {
        int length = Math.Min(random.Next(1, 64), bytes.Length - at);
        return [.. bytes.AsSpan(0, at + length), .. bytes.AsSpan(at)];
    }

    private static byte[] Extreme(byte[] bytes, int at, Random random)
    {
        int width = 1 << random.Next(4);
        at = Math.Min(at, bytes.Length - width);
        Span<byte> value = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64BigEndian(value, s_extremes[random.Next(s_extremes.Length)]);
        value[^width..].CopyTo(bytes.AsSpan(at));
        return bytes;
    }
}
