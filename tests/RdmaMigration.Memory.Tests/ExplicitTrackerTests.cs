namespace RdmaMigration.Memory.Tests;

public sealed class ExplicitTrackerTests
{
    private const ulong Page = 4096;

    [Fact]
    public void Every_page_that_a_marked_range_touches_is_found_once()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 300 * Page);
        using ExplicitTracker tracker = new([block]);
        tracker.MarkDirty(0, 0, 1);
        tracker.Start();
        tracker.MarkDirty(0, (3 * Page) - 1, 2);
        tracker.MarkDirty(0, 60 * Page, 200 * Page);
        tracker.MarkDirty(0, 299 * Page, 0);

        PageBitmap found = new(block);
        Assert.Equal(202UL, tracker.Collect(0, found));
        Assert.True(found.TryNext(0, out ulong start, out ulong end));
        Assert.Equal((2UL, 4UL), (start, end));
        Assert.True(found.TryNext(end, out start, out end));
        Assert.Equal((60UL, 260UL), (start, end));
        Assert.Equal(0UL, tracker.Collect(0, new PageBitmap(block)));
    }

    [Fact]
    public void A_range_outside_the_blocks_is_refused()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 4 * Page);
        using ExplicitTracker tracker = new([block]);
        tracker.Start();
        Assert.Throws<ArgumentOutOfRangeException>(() => tracker.MarkDirty(1, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => tracker.MarkDirty(-1, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => tracker.MarkDirty(0, 4 * Page, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => tracker.MarkDirty(0, Page, ulong.MaxValue));
    }

    [Fact]
    public void Marking_allocates_nothing()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 1024 * Page);
        using ExplicitTracker tracker = new([block]);
        tracker.Start();
        tracker.MarkDirty(0, 0, Page);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong page = 0; page < 1024; page++)
        {
            tracker.MarkDirty(0, page * Page, Page);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void No_marked_write_of_many_threads_is_lost()
    {
        const ulong pages = 1024;
        using RamBlock block = RamBlock.Allocate("pc.ram", pages * Page);
        using ExplicitTracker tracker = new([block]);
        byte[] copy = new byte[pages * Page];
        PageBitmap dirty = new(block);
        tracker.Start();
        int running = 3;
        Thread[] threads = [.. Enumerable.Range(0, running).Select(i => new Thread(() => Write(i)))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        while (Volatile.Read(ref running) > 0)
        {
            Pass();
        }

        Pass();
        Assert.True(copy.AsSpan().SequenceEqual(block.Slice(0, copy.Length)), "a write was lost");

        unsafe void Write(int i)
        {
            Random random = new(i);
            for (int n = 0; n < 200_000; n++)
            {
                ulong offset = ((ulong)random.NextInt64((long)pages) * Page) + ((ulong)i * 64);
                *(ulong*)(block.Pointer + offset) += (ulong)n + 1;
                tracker.MarkDirty(0, offset, 8);
            }

            Interlocked.Decrement(ref running);
        }

        void Pass()
        {
            tracker.Collect(0, dirty);
            for (ulong page = 0; dirty.TryNext(page, out ulong start, out ulong end); page = end)
            {
                block.Slice(start * Page, (int)((end - start) * Page)).CopyTo(copy.AsSpan((int)(start * Page)));
            }

            dirty.ClearAll();
        }
    }
}
