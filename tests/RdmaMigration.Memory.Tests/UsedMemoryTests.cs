namespace RdmaMigration.Memory.Tests;

public sealed class UsedMemoryTests
{
    private const ulong Page = 4096;

    [Fact]
    public void Pieces_are_new_once_and_used_from_then_on()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 2000 * Page);
        UsedMemory used = new(block);
        Assert.Equal([], New(used));

        Write(block, 600, 1999);
        Assert.Equal([(512, 1024), (1536, 2000)], New(used));
        Assert.Equal([], New(used));
        Write(block, 1100);
        Assert.Equal([(1024, 1536)], New(used));
        Assert.True(used.TryNext(0, out ulong start, out ulong end));
        Assert.Equal((512UL, 2000UL), (start, end));
        Assert.False(used.TryNext(end, out _, out _));

        used.Clear();
        Assert.False(used.TryNext(0, out _, out _));
        Assert.Equal(3, New(used).Count);
    }

    [Fact]
    public void The_data_of_a_piece_is_added_and_its_holes_are_not()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 2000 * Page);
        Write(block, 600, 602, 603);
        PageBitmap data = new(block);

        Assert.Equal(3UL, new UsedMemory(block).AddData(512, 1024, data));
        Assert.True(data[600] && !data[601] && data[602] && data[603]);
        Assert.Equal(3UL, data.Count);
    }

    private static void Write(RamBlock block, params ReadOnlySpan<ulong> pages)
    {
        foreach (ulong page in pages)
        {
            block.Slice(page * Page, 1)[0] = 1;
        }
    }

    private static List<(ulong, ulong)> New(UsedMemory used)
    {
        List<(ulong, ulong)> pieces = new();
        for (ulong page = 0; used.TryNextNew(page, out ulong start, out ulong end); page = end)
        {
            pieces.Add((start, end));
        }

        return pieces;
    }
}
