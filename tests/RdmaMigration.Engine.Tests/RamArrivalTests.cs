using RdmaMigration.Memory;

namespace RdmaMigration.Engine.Tests;

/// <summary>How far pages that come in ascending order have got, told from few looks.</summary>
public sealed class RamArrivalTests : IDisposable
{
    private const ulong Large = 64 << 20;
    private const ulong Small = 3 * 4096;

    private readonly RamBlockList _blocks = RamBlockList.Allocate([new("pc.ram", Large), new("vga.rom", Small)], Large + Small);
    private readonly RamArrival _arrival;

    public RamArrivalTests() => _arrival = new RamArrival(_blocks);

    [Fact]
    public void Nothing_has_arrived_at_first() => Assert.Equal(0, _arrival.Estimate());

    [Fact]
    public void The_estimate_follows_the_furthest_page_from_below()
    {
        // 64 looks over what is left, then 64 between two of them: a 4096th of all.
        const ulong Fineness = (Large + Small) / 4096 + 4096;
        ulong written = 0;
        foreach (ulong furthest in (ulong[])[1 << 20, 5 << 20, 6 << 20, 40 << 20, 63 << 20])
        {
            Write(written, furthest);
            written = furthest;

            Assert.InRange((ulong)_arrival.Estimate(), furthest - Fineness, furthest);
        }
    }

    [Fact]
    public void Pages_that_stay_zero_are_looked_over()
    {
        Write(50 << 20, 54 << 20);

        Assert.InRange((ulong)_arrival.Estimate(), 50UL << 20, 54UL << 20);
    }

    [Fact]
    public void The_last_block_counts()
    {
        Write(0, Large);
        _blocks[1].Slice(0, (int)Small).Fill(0xa5);

        // The first look goes as far as its step, the next ones as far as a page.
        _arrival.Estimate();

        Assert.Equal((long)(Large + Small - 4096), _arrival.Estimate());
    }

    [Fact]
    public void Estimate_never_goes_back()
    {
        Write(0, 10 << 20);
        long before = _arrival.Estimate();
        _blocks[0].Zero(0, Large);

        Assert.Equal(before, _arrival.Estimate());
    }

    public void Dispose() => _blocks.Dispose();

    private void Write(ulong from, ulong to) => _blocks[0].Slice(from, (int)(to - from)).Fill(0xa5);
}
