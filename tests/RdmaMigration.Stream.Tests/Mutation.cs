using System.Buffers.Binary;

namespace RdmaMigration.Stream.Tests;

/// <summary>Damages a stream in ways that a hostile or broken peer could. The same seed gives the same damage.</summary>
internal static class Mutation
{
    private static readonly ulong[] s_extremes =
        [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0xfff, 0x1000, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1UL << 40, long.MaxValue, 1UL << 63, ulong.MaxValue - 0xfff, ulong.MaxValue];

    public static byte[] Apply(byte[] original, byte[] other, Random random)
    {
        byte[] bytes = [.. original];
        for (int i = random.Next(1, 5); i > 0 && bytes.Length > 16; i--)
        {
            bytes = random.Next(7) switch
            {
                0 => FlipBits(bytes, random),
                1 => bytes[..random.Next(bytes.Length)],
                2 => Splice(bytes, other, random),
                3 => Remove(bytes, random),
                4 => Repeat(bytes, random),
                _ => Extreme(bytes, random),
            };
        }

        return bytes;
    }

    /// <summary>Mostly near the ends, where the structure is dense.</summary>
    private static int Position(byte[] bytes, Random random) => random.Next(4) switch
    {
        0 => random.Next(bytes.Length),
        1 => bytes.Length - 1 - random.Next(Math.Min(bytes.Length, 4096)),
        _ => random.Next(Math.Min(bytes.Length, 256)),
    };

    private static byte[] FlipBits(byte[] bytes, Random random)
    {
        for (int i = random.Next(1, 9); i > 0; i--)
        {
            bytes[Position(bytes, random)] ^= (byte)(1 << random.Next(8));
        }

        return bytes;
    }

    private static byte[] Splice(byte[] bytes, byte[] other, Random random)
    {
        int from = random.Next(other.Length);
        int length = random.Next(1, Math.Min(other.Length - from, 9000) + 1);
        int at = Position(bytes, random);
        return [.. bytes.AsSpan(0, at), .. other.AsSpan(from, length), .. bytes.AsSpan(at)];
    }

    private static byte[] Remove(byte[] bytes, Random random)
    {
        int at = Position(bytes, random);
        int length = Math.Min(random.Next(1, 64), bytes.Length - at);
        return [.. bytes.AsSpan(0, at), .. bytes.AsSpan(at + length)];
    }

    private static byte[] Repeat(byte[] bytes, Random random)
    {
        int at = Position(bytes, random);
        int length = Math.Min(random.Next(1, 64), bytes.Length - at);
        return [.. bytes.AsSpan(0, at + length), .. bytes.AsSpan(at)];
    }

    private static byte[] Extreme(byte[] bytes, Random random)
    {
        int width = 1 << random.Next(4);
        int at = Math.Min(Position(bytes, random), bytes.Length - width);
        Span<byte> value = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64BigEndian(value, s_extremes[random.Next(s_extremes.Length)]);
        value[^width..].CopyTo(bytes.AsSpan(at));
        return bytes;
    }
}
