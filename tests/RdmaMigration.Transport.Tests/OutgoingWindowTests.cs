using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>What a sender may do with the memory that it sends.</summary>
public sealed class OutgoingWindowTests
{
    private const int PageSize = 4096;

    /// <summary>The page was zero when the window was made; the machine ran on.</summary>
    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 0)]
    public void A_page_written_after_the_window_was_made_is_lost_only_where_that_is_allowed(bool allowed, byte expected)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", Chunk.Size);
        block.MayDiscardZeros |= allowed;
        OutgoingWindow window = WindowOfFirstPage(block);
        block.Slice(2 * PageSize, 1)[0] = 1;
        window.DiscardGaps(block);
        Assert.Equal((1, expected), (block.Slice(0, 1)[0], block.Slice(2 * PageSize, 1)[0]));
    }

    [Fact]
    public void Memory_behind_the_holes_of_a_window_is_given_back()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", Chunk.Size);
        block.MayDiscardZeros = true;
        OutgoingWindow window = WindowOfFirstPage(block);
        Assert.True(block.TryPopulate(0, Chunk.Size));
        window.DiscardGaps(block);
        Assert.Equal((ulong)PageSize, block.ResidentBytes);
    }

    private static OutgoingWindow WindowOfFirstPage(RamBlock block)
    {
        block.Slice(0, PageSize).Fill(1);
        OutgoingWindow window = new();
        Assert.True(new OutgoingPlan([block], Chunk.Size, scan: false, static () => { }).TryNext(window));
        return window;
    }
}
