using System.IO.Pipes;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Memory.Tests;

/// <summary>
/// Each kind of tracker that works on this kernel. Two kernels together have all kinds: this host's and, where the RDMA tests run, the guest's.
/// </summary>
public abstract unsafe class DirtyTrackerTests
{
    private const ulong Page = 4096;

    public static TheoryData<int> Kinds => [.. TrackingKinds.OfThisKernel.Select(kind => (int)kind)];

    public static TheoryData<int> KindsThatReadPageTables => [.. TrackingKinds.OfThisKernel.Except([DirtyTracking.SoftDirty]).Select(kind => (int)kind)];

    [Fact]
    public void The_kinds_that_this_kernel_should_have_work()
    {
        if (Environment.OSVersion.Version >= new Version(6, 7))
        {
            Assert.Contains(DirtyTracking.WriteProtectAsync, TrackingKinds.OfThisKernel);
        }

        if (Environment.GetEnvironmentVariable("SOFTROCE") is "tcg" or "kvm")
        {
            Assert.Equal([DirtyTracking.WriteProtect, DirtyTracking.SoftDirty], TrackingKinds.OfThisKernel.Except([DirtyTracking.WriteProtectAsync]));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_written_page_is_found_once_and_again_when_it_is_written_again(int kind)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 64 * Page);
        using IDirtyTracker tracker = Create(kind, block);
        Touch(block, 0, 20);
        tracker.Start();
        Assert.Equal([], Collect(tracker, block));

        Touch(block, 3, 1);
        Touch(block, 7, 2);
        Assert.Equal([3, 7, 8], Collect(tracker, block));
        Assert.Equal([], Collect(tracker, block));

        Touch(block, 8, 1);
        Assert.Equal([8], Collect(tracker, block));
    }

    /// <summary>The block's descriptor becomes one that has no memory, so the kernel refuses to search it.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_pass_that_the_kernel_refuses_fails_with_the_block_and_the_error(int kind)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 4096 * Page);
        using IDirtyTracker tracker = Create(kind, block);
        tracker.Start();
        using AnonymousPipeServerStream pipe = new();
        _ = Descriptor.DuplicateOnto((int)pipe.SafePipeHandle.DangerousGetHandle(), block.FileDescriptor).OrThrow("dup2");

        RamAccessException failed = Assert.Throws<RamAccessException>(() => Collect(tracker, block));

        Assert.Equal((FailureReason.Memory, "pc.ram", "lseek", Errno.ESPIPE), (failed.Reason, failed.BlockName, failed.Call, failed.Error));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_write_into_a_hole_is_found_and_found_again(int kind)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 4096 * Page);
        using IDirtyTracker tracker = Create(kind, block);
        tracker.Start();
        Touch(block, 2000, 1);
        Assert.Equal([2000], Collect(tracker, block));
        Assert.Equal([], Collect(tracker, block));
        Touch(block, 2000, 1);
        Touch(block, 2002, 1);
        Touch(block, 4095, 1);
        Assert.Equal([2000, 2002, 4095], Collect(tracker, block));
        Assert.Equal([], Collect(tracker, block));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_page_that_is_only_read_is_not_found(int kind)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 64 * Page);
        using IDirtyTracker tracker = Create(kind, block);
        Touch(block, 0, 64);
        tracker.Start();
        int sum = 0;
        for (ulong page = 0; page < 64; page++)
        {
            sum += block.Slice(page * Page, 1)[0];
        }

        Assert.Equal(64, sum);
        Assert.Equal([], Collect(tracker, block));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void What_the_kernel_copies_into_memory_is_found(int kind)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 64 * Page);
        using IDirtyTracker tracker = Create(kind, block);
        Touch(block, 0, 32);
        using SafeFileHandle zero = File.OpenHandle("/dev/zero");
        tracker.Start();

        Assert.Equal((int)(2 * Page), RandomAccess.Read(zero, block.Slice(5 * Page, (int)(2 * Page)), 0));
        Assert.Equal((int)Page, RandomAccess.Read(zero, block.Slice(40 * Page, (int)Page), 0));

        List<ulong> found = Collect(tracker, block);
        Assert.Superset(new HashSet<ulong> { 5, 6, 40 }, found.ToHashSet());
        Assert.DoesNotContain(4UL, found);
    }

    [Theory]
    [MemberData(nameof(KindsThatReadPageTables))]
    public void A_written_page_whose_mapping_the_kernel_drops_is_still_found(int kind)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 64 * Page);
        using IDirtyTracker tracker = Create(kind, block);
        Touch(block, 0, 64);
        tracker.Start();
        Touch(block, 9, 1);

        // As when the kernel pages memory out: the file keeps it, the page table forgets it.
        Assert.False(MemoryFile.Forget(block.Pointer + (8 * Page), 4 * Page).Failed);

        Assert.Contains(9UL, Collect(tracker, block));
        Touch(block, 10, 1);
        Assert.Contains(10UL, Collect(tracker, block));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Blocks_are_tracked_each_for_itself(int kind)
    {
        using RamBlockList blocks = RamBlockList.Allocate([new("a", 16 * Page), new("b", 16 * Page)], 1 << 20);
        using IDirtyTracker tracker = Create(kind, [.. blocks]);
        Touch(blocks[0], 0, 16);
        Touch(blocks[1], 0, 16);
        tracker.Start();
        Touch(blocks[0], 1, 1);
        Touch(blocks[1], 2, 1);
        Assert.Equal([2], Collect(tracker, blocks[1], 1));
        Touch(blocks[1], 4, 1);
        Assert.Equal([1], Collect(tracker, blocks[0], 0));
        Assert.Equal([4], Collect(tracker, blocks[1], 1));
        Assert.Equal([], Collect(tracker, blocks[0], 0));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void After_a_stop_nothing_is_protected_and_a_new_start_forgets_the_past(int kind)
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 64 * Page);
        using IDirtyTracker tracker = Create(kind, block);
        Touch(block, 0, 32);
        tracker.Start();
        Assert.Throws<InvalidOperationException>(tracker.Start);
        Touch(block, 1, 1);
        tracker.Stop();
        tracker.Stop();
        Assert.Throws<InvalidOperationException>(() => tracker.Collect(0, new PageBitmap(block)));

        // Nobody would let these writers go on.
        Touch(block, 0, 64);
        tracker.Start();
        Assert.Equal([], Collect(tracker, block));
        Touch(block, 40, 1);
        Assert.Equal([40], Collect(tracker, block));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void No_write_of_many_threads_is_lost_in_memory_or_holes_while_garbage_is_collected(int kind)
    {
        const ulong pages = 8192;
        const int writers = 3;
        const int fullPasses = 6;
        using RamBlock block = RamBlock.Allocate("pc.ram", pages * Page);
        using IDirtyTracker tracker = Create(kind, block);
        Touch(block, 0, pages / 2);
        byte[] copy = new byte[pages * Page];
        PageBitmap dirty = new(block);
        tracker.Start();
        CopyData(block, copy);

        // The source's side: collect, then read. Meanwhile threads write at random, half of it into holes, and garbage is collected: a collection that waits
        // for a writer which waits for a page would never end.
        ulong found = 0;
        int passes = 0;
        int running = writers;
        Thread[] threads = [.. Enumerable.Range(0, writers).Select(i => new Thread(() =>
        {
            Random random = new(i);
            for (int n = 0; Volatile.Read(ref passes) < fullPasses || Volatile.Read(ref found) < pages / 2; n++)
            {
                byte* word = block.Pointer + ((ulong)random.NextInt64((long)pages) * Page) + ((ulong)i * 64);
                *(ulong*)word += (ulong)n + 1;
            }

            Interlocked.Decrement(ref running);
        }))];
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        while (Volatile.Read(ref running) > 0)
        {
            Pass();
            GC.Collect(passes % 2 == 0 ? 0 : 2);
            Volatile.Write(ref passes, passes + 1);
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Pass();
        Assert.True(copy.AsSpan().SequenceEqual(block.Slice(0, copy.Length)), "a write was lost");

        void Pass()
        {
            Volatile.Write(ref found, found + tracker.Collect(0, dirty));
            for (ulong page = 0; dirty.TryNext(page, out ulong start, out ulong end); page = end)
            {
                block.Slice(start * Page, (int)((end - start) * Page)).CopyTo(copy.AsSpan((int)(start * Page)));
            }

            dirty.ClearAll();
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_block_in_huge_pages_is_tracked_by_huge_page(int kind)
    {
        const ulong huge = 2 << 20;
        using HugePages reserved = HugePages.TryReserve(count: 8);
        RamBlock? allocated = null;
        try
        {
            allocated = RamBlock.Allocate("huge", 3 * huge, hugePages: true);
        }
        catch (RamAllocationException e)
        {
            Assert.Skip(e.Message);
        }

        using RamBlock block = allocated;
        Assert.Equal(huge, block.PageSize);
        if ((DirtyTracking)kind is DirtyTracking.SoftDirty)
        {
            Assert.Throws<MigrationException>(() => Create(kind, block));
            return;
        }

        using IDirtyTracker tracker = Create(kind, block);
        Touch(block, 0, 512);
        tracker.Start();
        Touch(block, 5, 1);
        Assert.Superset(Enumerable.Range(0, 512).Select(i => (ulong)i).ToHashSet(), Collect(tracker, block).ToHashSet());
        Touch(block, 1100, 1);
        Assert.Superset(Enumerable.Range(1024, 512).Select(i => (ulong)i).ToHashSet(), Collect(tracker, block).ToHashSet());
        Assert.Equal([], Collect(tracker, block));
        Touch(block, 0, 1);
        Assert.Equal(512, Collect(tracker, block).Count);
    }

    [Fact]
    public void The_best_kind_that_works_is_chosen_and_logged_with_what_did_not()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 16 * Page);
        DirtyTracking[] working = [.. DirtyTrackers.ByItself([block]).Where(kind => TrackingKinds.Works(kind, block))];
        List<string> lines = new();
        if (working is [])
        {
            MigrationException none = Assert.Throws<MigrationException>(() => DirtyTrackers.Create([block], wish: null, lines.Add));
            Assert.Equal(FailureReason.Policy, none.Reason);
            return;
        }

        using IDirtyTracker tracker = DirtyTrackers.Create([block], wish: null, lines.Add);
        Assert.Equal(working[0], tracker.Kind);
        Assert.Contains(DirtyTrackers.Name(tracker.Kind), Assert.Single(lines), StringComparison.Ordinal);
    }

    [Fact]
    public void Soft_dirty_bits_come_last_for_a_machine_that_is_too_large_to_read_them_all()
    {
        using RamBlock small = RamBlock.Allocate("small", 16UL << 30);
        using RamBlock page = RamBlock.Allocate("page", Page);
        Assert.Equal([DirtyTracking.WriteProtectAsync, DirtyTracking.SoftDirty, DirtyTracking.WriteProtect], DirtyTrackers.ByItself([small]));
        Assert.Equal([DirtyTracking.WriteProtectAsync, DirtyTracking.WriteProtect, DirtyTracking.SoftDirty], DirtyTrackers.ByItself([small, page]));
    }

    private static IDirtyTracker Create(int kind, params RamBlock[] blocks) => DirtyTrackers.Create(blocks, (DirtyTracking)kind, static _ => { });

    private static void Touch(RamBlock block, ulong first, ulong count)
    {
        for (ulong page = first; page < first + count; page++)
        {
            block.Slice(page * Page, 1)[0]++;
        }
    }

    private static void CopyData(RamBlock block, byte[] copy)
    {
        foreach (RamExtent extent in block.Extents)
        {
            if (extent.IsData)
            {
                block.Slice(extent.Offset, (int)extent.Length).CopyTo(copy.AsSpan((int)extent.Offset));
            }
        }
    }

    private static List<ulong> Collect(IDirtyTracker tracker, RamBlock block, int index = 0)
    {
        PageBitmap found = new(block);
        ulong count = tracker.Collect(index, found);
        Assert.Equal(found.Count, count);
        List<ulong> pages = new();
        for (ulong page = 0; found.TryNext(page, out ulong start, out ulong end); page = end)
        {
            for (ulong i = start; i < end; i++)
            {
                pages.Add(i);
            }
        }

        return pages;
    }
}

/// <summary>On the kernel of the machine that runs the suite.</summary>
public sealed class DirtyTrackersOfThisHostTests : DirtyTrackerTests;

/// <summary>On the kernel of the guest with soft-RoCE: that of Debian 12.</summary>
[Trait("needs", "rdma")]
public sealed class DirtyTrackersOfTheGuestTests : DirtyTrackerTests;
