using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>The page path and the plan under it, against a destination in memory.</summary>
public sealed class RamSenderTests
{
    private const ulong LargeWindow = 64 << 20;

    public static TheoryData<Fill, bool> Machines => MachineMemory.FillsAndModes;

    [Theory]
    [MemberData(nameof(Machines))]
    public void Memory_arrives_identical_also_over_old_content(Fill fill, bool pinAll)
    {
        using RamBlockList sent = MachineMemory.Allocate(fill);
        using RamBlockList received = MachineMemory.Allocate(Fill.Dense);
        InstantDestination destination = new(received);
        PlannedWindows windows = Send(sent, destination, pinAll, 4 << 20);
        MachineMemory.AssertSame(sent, received);
        Assert.Equal((long)sent.TotalLength, destination.WrittenBytes + windows.ZeroBytes);
    }

    [Fact]
    public void Windows_double_up_to_the_largest_and_each_is_one_request()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.Dense, mebibytes: 40);
        InstantDestination destination = new(null);
        Send(sent, destination, pinAll: false, 16 << 20);
        Assert.Equal([4, 8, 16, 12], destination.Requests.Where(request => request.BlockIndex == 0).Select(request => (int)request.Chunks + 1));
        Assert.Empty(destination.Clears);
    }

    [Fact]
    public void Scattered_pages_cost_one_clear_for_each_window()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.OddPages, mebibytes: 40);
        InstantDestination destination = new(null);
        Send(sent, destination, pinAll: true, LargeWindow);
        Assert.Equal(2, destination.Clears.Count); // one a block
        Assert.Equal(sent.Sum(block => (long)(block.Length / 4096 / 2 * 4096)), destination.WrittenBytes);
    }

    [Fact]
    public void Chunks_without_data_are_never_asked_for()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.OneChunkOfFour);
        InstantDestination destination = new(null);
        Send(sent, destination, pinAll: false, LargeWindow);
        Assert.All(destination.Requests, request => Assert.Equal((0UL, 1UL), (request.Chunks, (request.Key >> Chunk.Shift) % 4)));
    }

    [Fact]
    public void Memory_that_is_touched_and_zero_is_not_sent_with_dynamic_registration()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.TouchedZero);
        InstantDestination destination = new(null);
        Send(sent, destination, pinAll: false, LargeWindow);
        Assert.Empty(destination.Requests);
        Assert.Equal(0, destination.WrittenBytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_loss_ends_the_search_for_the_next_window_within_a_chunk(bool scan)
    {
        using RamBlockList blocks = MachineMemory.Allocate(scan ? Fill.TouchedZero : Fill.Dense);
        int looks = 0;
        OutgoingPlan plan = new(blocks, LargeWindow, scan, () =>
        {
            if (++looks == 5)
            {
                throw new ConnectionLostException(ConnectionLoss.Shutdown, "cancelled", 0);
            }
        });
        Assert.Equal("cancelled", Assert.Throws<ConnectionLostException>(() =>
        {
            OutgoingWindow window = new();
            while (plan.TryNext(window))
            {
            }
        }).Message);
        Assert.Equal(5, looks);
        Assert.True(plan.ZeroBytes < 24 << 20);
    }

    [Fact]
    public void A_full_send_queue_is_waited_for()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.Dense);
        using RamBlockList received = MachineMemory.Allocate(Fill.Empty);
        InstantDestination destination = new(received) { Refuse = 5 };
        Send(sent, destination, pinAll: false, LargeWindow);
        MachineMemory.AssertSame(sent, received);
        Assert.True(destination.Parked > 0);
    }

    [Theory]
    [MemberData(nameof(Machines))]
    public void It_returns_when_the_last_write_is_done_and_a_window_is_let_go_of_no_sooner(Fill fill, bool pinAll)
    {
        using RamBlockList sent = MachineMemory.Allocate(fill);
        using RamBlockList received = MachineMemory.Allocate(Fill.Dense);
        InstantDestination destination = new(received) { Lags = true };
        PlannedWindows windows = Send(sent, destination, pinAll, 4 << 20);
        MachineMemory.AssertSame(sent, received);
        Assert.Equal((destination.PostedBytes, (long)sent.TotalLength), (destination.WrittenBytes, destination.WrittenBytes + windows.ZeroBytes));
    }

    [Fact]
    public void A_slow_data_lane_lets_no_more_be_pinned_ahead_than_one_large_window()
    {
        using RamBlockList sent = RamBlockList.Allocate([new RamBlockDescription("pc.ram", 1UL << 30)], ulong.MaxValue);
        for (ulong chunk = 0; chunk < 1024; chunk += 2)
        {
            sent[0].Slice(chunk << Chunk.Shift, 1)[0] = 1;
        }

        InstantDestination destination = new(null);
        PlannedWindows windows = Send(sent, destination, pinAll: false, LargeWindow, new BandwidthLimit(8 << 20));
        Assert.Equal(512, destination.Requests.Count);
        Assert.InRange(windows.MostPinned, 32UL << 20, LargeWindow + (2 << 20));
    }

    [Fact]
    public void Where_chunks_lie_scattered_the_next_requests_answer_is_seen_within_the_chunk()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.OneChunkOfFour, mebibytes: 100);
        InstantDestination destination = new(null) { LateBy = 2 };
        Send(sent, destination, pinAll: false, windowBytes: 8 << 20);
        Assert.True(destination.Clears.Count > 10);
        Assert.InRange(destination.Parked, 1, 4); // at a block's start there is nothing to write yet
    }

    [Fact]
    public void Memory_that_needs_no_answer_is_written_in_whole_chunks()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.Dense);
        InstantDestination destination = new(null) { LateBy = 2 };
        Send(sent, destination, pinAll: true, LargeWindow);
        Assert.Equal((int)Chunk.Size, destination.LargestWrite);
        Assert.Equal(sent.Sum(block => (int)((block.Length + Chunk.Size - 1) >> Chunk.Shift)), destination.Writes);
    }

    [Fact]
    public void A_limit_cuts_writes_to_an_even_rate()
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.Dense);
        InstantDestination destination = new(null);
        Send(sent, destination, pinAll: true, LargeWindow, new BandwidthLimit(1L << 34));
        Assert.Equal((int)Chunk.Size, destination.LargestWrite);
        destination = new InstantDestination(null);
        using RamBlockList small = MachineMemory.Allocate(Fill.OneChunkOfFour);
        Send(small, destination, pinAll: true, LargeWindow, new BandwidthLimit(16 << 20));
        Assert.Equal((16 << 20) / 20, destination.LargestWrite);
    }

    [Fact]
    public void The_page_path_does_not_allocate()
    {
        using RamBlockList blocks = RamBlockList.Allocate([new RamBlockDescription("pc.ram", LargeWindow)], LargeWindow);
        Repeat(blocks, 4);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Repeat(blocks, 4);
        long few = GC.GetAllocatedBytesForCurrentThread() - before;
        Repeat(blocks, 404);
        long many = GC.GetAllocatedBytesForCurrentThread() - before - few;
        Assert.Equal(few, many);
    }

    private static void Repeat(RamBlockList blocks, int times)
    {
        InstantDestination destination = new(null);
        new RamSender(
            destination,
            destination,
            new OutgoingControl(destination),
            blocks,
            InstantDestination.Blocks(blocks, pinAll: true),
            new RepeatedWindow(times),
            limit: null).Run();
    }

    private static PlannedWindows Send(RamBlockList blocks, InstantDestination destination, bool pinAll, ulong windowBytes, BandwidthLimit? limit = null)
    {
        PlannedWindows windows = new(new OutgoingPlan(blocks, windowBytes, scan: !pinAll, static () => { }), destination);
        new RamSender(
            destination, destination, new OutgoingControl(destination.Ready()), blocks, InstantDestination.Blocks(blocks, pinAll), windows, limit).Run();
        Assert.Equal(0, pinAll ? 0 : windows.Outstanding);
        return windows;
    }

    /// <summary>One dense window of 64 MiB, again and again.</summary>
    private sealed class RepeatedWindow : IWindowSource
    {
        private readonly OutgoingWindow _window = new();
        private int _left;

        public RepeatedWindow(int times)
        {
            _left = times;
            _window.Reset(0);
            _window.Add(new RamRun(0, LargeWindow), 0, LargeWindow);
        }

        public long ZeroBytes => 0;

        public OutgoingWindow? Next() => _left-- > 0 ? _window : null;

        public void Register(OutgoingWindow window)
        {
        }

        public void Return(OutgoingWindow window)
        {
        }

        public void Dispose()
        {
        }
    }
}
