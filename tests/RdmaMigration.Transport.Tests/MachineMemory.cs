using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>How a test machine's memory is filled.</summary>
public enum Fill
{
    Dense,
    Empty,
    OddPages,
    OneChunkOfFour,
    TouchedZero,
}

/// <summary>Two blocks, the second of which ends within a chunk.</summary>
internal static class MachineMemory
{
    private const int PageSize = 4096;

    public static TheoryData<Fill, bool> FillsAndModes
    {
        get
        {
            TheoryData<Fill, bool> machines = [];
            foreach (Fill fill in Enum.GetValues<Fill>())
            {
                machines.Add(fill, false);
                machines.Add(fill, true);
            }

            return machines;
        }
    }

    public static RamBlockList Allocate(Fill fill, ulong mebibytes = 24)
    {
        RamBlockList blocks = RamBlockList.Allocate(
            [new RamBlockDescription("pc.ram", mebibytes << 20), new RamBlockDescription("vga.vram", (3 << 20) + PageSize)], ulong.MaxValue);
        Random random = new(7);
        foreach (RamBlock block in blocks)
        {
            for (ulong page = 0; page < block.Length / PageSize; page++)
            {
                Span<byte> bytes = block.Slice(page * PageSize, PageSize);
                if (fill == Fill.Dense || (fill == Fill.OddPages && page % 2 == 1) || (fill == Fill.OneChunkOfFour && page / 256 % 4 == 1))
                {
                    random.NextBytes(bytes);
                }
                else if (fill == Fill.TouchedZero)
                {
                    bytes.Clear();
                }
            }
        }

        return blocks;
    }

    public static void AssertSame(RamBlockList sent, RamBlockList received)
    {
        for (int i = 0; i < sent.Count; i++)
        {
            Assert.True(Bytes(sent[i]).SequenceEqual(Bytes(received[i])), $"RAM block '{sent[i].Name}' differs");
        }
    }

    private static ReadOnlySpan<byte> Bytes(RamBlock block) => block.Slice(0, (int)block.Length);
}
