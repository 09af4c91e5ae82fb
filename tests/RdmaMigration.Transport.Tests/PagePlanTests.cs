using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>A pass over some pages, against a destination in memory that has what came before.</summary>
public sealed class PagePlanTests
{
    private const ulong WindowBytes = 8 << 20;
    private const ulong ChunkPages = Chunk.Size / PageList.PageSize;

    private static readonly PageList s_scattered = new((0, 3, 1), (0, 5, 2), (0, 255, 2), (0, 5 * ChunkPages, 1), (1, 0, 1), (1, 768, 1));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Only_the_pages_of_the_set_arrive(bool pinAll)
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.Dense);
        using RamBlockList received = MachineMemory.Allocate(Fill.Empty);
        InstantDestination destination = new(received);
        Send(sent, destination, new OutgoingControl(destination.Ready()), s_scattered, new ChunkKeys(sent), pinAll);
        for (int block = 0; block < sent.Count; block++)
        {
            for (ulong page = 0; page < sent[block].Length / PageList.PageSize; page++)
            {
                bool isIn = s_scattered.TryNext(block, page * PageList.PageSize, out ulong start, out _) && start == page * PageList.PageSize;
                ReadOnlySpan<byte> there = received[block].Slice(page * PageList.PageSize, (int)PageList.PageSize);
                Assert.True(isIn ? there.SequenceEqual(sent[block].Slice(page * PageList.PageSize, there.Length)) : ZeroScan.IsZero(there));
            }
        }

        Assert.Equal(s_scattered.Bytes, destination.WrittenBytes);
        Assert.Empty(destination.Clears);
    }

    [Fact]
    public void A_pass_asks_for_no_key_that_an_earlier_one_has()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.Dense);
        InstantDestination destination = new(null);
        OutgoingControl control = new(destination.Ready());
        ChunkKeys keys = new(sent);
        Send(sent, destination, control, new PageList((0, 0, 3 * ChunkPages)), keys);
        Send(sent, destination, control, new PageList((0, 1, 1), (0, 2 * ChunkPages, 1)), keys);
        Assert.Single(destination.Requests);
        Send(sent, destination, control, new PageList((0, 1, 1), (0, (3 * ChunkPages) - 1, 2)), keys);
        Assert.Equal([0UL, 3], destination.Requests.Select(request => (request.Key >> Chunk.Shift) & 0xff));
    }

    [Fact]
    public void Pages_far_apart_under_one_key_are_one_window()
    {
        using RamBlockList blocks = MachineMemory.Allocate(Fill.Dense);
        ChunkKeys keys = new(blocks);
        keys.SetLocal(0, 0, blocks[0].Length, 1);
        keys.SetRemote(0, 0, blocks[0].Length, 2, 0);
        PagePlan plan = new(blocks, new PageList((0, 1, 1), (0, 7 * ChunkPages, 1), (0, 9 * ChunkPages, 1)), WindowBytes, scan: true, keys, static () => { });
        OutgoingWindow window = new();
        Assert.True(plan.TryNext(window));
        Assert.Equal(2, window.Runs.Count);
        Assert.True(plan.TryNext(window)); // a window spans no more
        Assert.False(plan.TryNext(window));
    }

    [Fact]
    public void A_whole_chunk_that_became_zero_is_cleared_and_its_neighbours_stay()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.Dense);
        using RamBlockList received = MachineMemory.Allocate(Fill.Dense);
        sent[0].Zero(2 * Chunk.Size, 2 * Chunk.Size);
        InstantDestination destination = new(received);
        PageList pages = new((0, (2 * ChunkPages) - 1, (2 * ChunkPages) + 2));
        long zero = Send(sent, destination, new OutgoingControl(destination.Ready()), pages, new ChunkKeys(sent));
        MachineMemory.AssertSame(sent, received);
        Assert.Equal(2 * (long)Chunk.Size, zero);
        Assert.Equal(2 * Chunk.Size, Assert.Single(destination.Clears).Length);
        Assert.Equal(2 * (long)PageList.PageSize, destination.WrittenBytes);
    }

    [Fact]
    public void A_loss_ends_the_search_for_the_next_window()
    {
        using RamBlockList blocks = MachineMemory.Allocate(Fill.TouchedZero);
        int looks = 0;
        PagePlan plan = new(blocks, new PageList((0, 0, 24 * ChunkPages)), WindowBytes, scan: true, new ChunkKeys(blocks), () =>
        {
            if (++looks == 5)
            {
                throw new ConnectionLostException(ConnectionLoss.Shutdown, "cancelled", 0);
            }
        });
        Assert.Throws<ConnectionLostException>(() => plan.TryNext(new OutgoingWindow()));
        Assert.Equal(5, looks);
    }

    private static long Send(
        RamBlockList blocks, InstantDestination destination, OutgoingControl control, PageList pages, ChunkKeys keys, bool pinAll = false)
    {
        KeyedWindows windows = new(new PagePlan(blocks, pages, WindowBytes, scan: !pinAll, keys, static () => { }), keys);
        new RamSender(destination, destination, control, blocks, InstantDestination.Blocks(blocks, pinAll), windows, limit: null).Run();
        return windows.ZeroBytes;
    }

    /// <summary>Keeps keys, without a device.</summary>
    private sealed class KeyedWindows(PagePlan plan, ChunkKeys keys) : IWindowSource
    {
        public long ZeroBytes => plan.ZeroBytes;

        public OutgoingWindow? Next()
        {
            OutgoingWindow window = new();
            if (!plan.TryNext(window))
            {
                return null;
            }

            if (window.HasData)
            {
                window.RemoteKey = keys.Remote(window.Block, window.Start);
                window.RemoteBase = keys.RemoteBase(window.Block);
            }

            return window;
        }

        public void Register(OutgoingWindow window) => keys.SetLocal(window.Block, window.Start, window.End, 1);

        public void Keep(OutgoingWindow window) => keys.SetRemote(window.Block, window.Start, window.End, window.RemoteKey, window.RemoteBase);

        public void Return(OutgoingWindow window)
        {
        }

        public void Dispose()
        {
        }
    }
}
