using RdmaMigration.Linux;

namespace RdmaMigration.Memory.Tests;

public sealed unsafe class RamBlockTests
{
    private const ulong Page = 4096;

    [Fact]
    public void A_new_block_reads_as_zero_and_is_one_hole()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 16 * Page);

        Assert.Equal(0UL, block.ResidentBytes);
        Assert.Equal([new RamExtent(0, 16 * Page, false)], Collect(block.Extents));
        Assert.True(ZeroScan.IsZero(block.Slice(0, (int)(16 * Page))));
    }

    [Fact]
    public void Extents_show_exactly_the_pages_that_were_written()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 16 * Page);
        block.Slice(3 * Page, 1)[0] = 1;
        block.Slice(4 * Page, 1)[0] = 1;
        block.Slice(15 * Page, 1)[0] = 1;

        Assert.Equal(
            [new(0, 3 * Page, false), new(3 * Page, 2 * Page, true), new(5 * Page, 10 * Page, false), new(15 * Page, Page, true)],
            Collect(block.Extents));
        Assert.Equal(3 * Page, block.ResidentBytes);
    }

    [Fact]
    public void A_range_that_is_populated_has_memory_behind_it_and_keeps_its_bytes()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 16 * Page);
        block.Slice(3 * Page, 1)[0] = 1;

        Assert.True(block.TryPopulate(2 * Page, 4 * Page));

        Assert.Equal(4 * Page, block.ResidentBytes);
        Assert.Equal([new(0, 2 * Page, false), new(2 * Page, 4 * Page, true), new(6 * Page, 10 * Page, false)], Collect(block.Extents));
        Assert.Equal(1, block.Slice(3 * Page, 1)[0]);
        Assert.Throws<ArgumentOutOfRangeException>(() => block.TryPopulate(15 * Page, 2 * Page));
    }

    [Fact]
    public void A_range_that_is_discarded_is_a_hole_and_the_rest_stays()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 16 * Page);
        block.Slice(0, (int)(16 * Page)).Fill(1);

        Assert.True(block.TryDiscard(2 * Page, 4 * Page));

        Assert.Equal(12 * Page, block.ResidentBytes);
        Assert.Equal([new(0, 2 * Page, true), new(2 * Page, 4 * Page, false), new(6 * Page, 10 * Page, true)], Collect(block.Extents));
        Assert.True(ZeroScan.IsZero(block.Slice(2 * Page, (int)(4 * Page))));
        Assert.Throws<ArgumentOutOfRangeException>(() => block.TryDiscard(15 * Page, 2 * Page));
    }

    [Fact]
    public void Extents_of_a_range_are_clipped_to_it()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 16 * Page);
        block.Slice(2 * Page, (int)(4 * Page)).Fill(1);

        Assert.Equal([new(3 * Page, 2 * Page, true)], Collect(block.ExtentsOf(3 * Page, 2 * Page)));
        Assert.Equal([new(5 * Page, Page, true), new(6 * Page, Page, false)], Collect(block.ExtentsOf(5 * Page, 2 * Page)));
        Assert.Empty(Collect(block.ExtentsOf(16 * Page, 0)));
    }

    [Fact]
    public void Extents_cover_any_pattern_of_written_pages_without_gap_or_overlap()
    {
        Random random = new(20260711);
        for (int round = 0; round < 50; round++)
        {
            ulong pages = (ulong)random.Next(1, 200);
            using RamBlock block = RamBlock.Allocate("pc.ram", pages * Page);
            HashSet<ulong> written = new();
            for (int i = random.Next(0, 60); i > 0; i--)
            {
                ulong page = (ulong)random.NextInt64((long)pages);
                block.Slice(page * Page, 1)[0] = 1;
                written.Add(page);
            }

            ulong position = 0;
            foreach (RamExtent extent in block.Extents)
            {
                Assert.Equal(position, extent.Offset);
                for (; position < extent.End; position += Page)
                {
                    Assert.Equal(written.Contains(position / Page), extent.IsData);
                }
            }

            Assert.Equal(block.Length, position);
        }
    }

    [Fact]
    public void Zero_clears_what_is_there_keeps_it_in_place_and_leaves_holes_alone()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 16 * Page);
        block.Slice(4 * Page, (int)(2 * Page)).Fill(0xaa);

        block.Zero(0, 5 * Page);

        Assert.Equal(2 * Page, block.ResidentBytes);
        Assert.Equal(
            [new(0, 4 * Page, false), new(4 * Page, 2 * Page, true), new(6 * Page, 10 * Page, false)],
            Collect(block.Extents));
        Assert.True(ZeroScan.IsZero(block.Slice(4 * Page, (int)Page)));
        Assert.Equal((int)Page, block.Slice(5 * Page, (int)Page).Count((byte)0xaa));
    }

    [Fact]
    public void Zero_of_an_unaligned_range_clears_that_range_only()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 4 * Page);
        block.Slice(0, (int)(4 * Page)).Fill(0xaa);

        block.Zero(Page + 10, Page);

        Span<byte> all = block.Slice(0, (int)(4 * Page));
        Assert.Equal((int)Page, all.Count((byte)0));
        Assert.Equal((int)Page + 10, all.IndexOf((byte)0));
    }

    [Fact]
    public void A_range_outside_the_block_is_refused_by_every_member_also_when_the_sum_overflows()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 4 * Page);
        foreach ((ulong offset, ulong length) in new[] { (4 * Page, 1UL), (Page, 4 * Page), (ulong.MaxValue, 1UL), (ulong.MaxValue - 10, 20UL) })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => block.Slice(offset, (int)length).Length);
            Assert.Throws<ArgumentOutOfRangeException>(() => block.Zero(offset, length));
            Assert.Throws<ArgumentOutOfRangeException>(() => block.ExtentsOf(offset, length));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => block.Slice(0, -1).Length);
        Assert.Equal(0, block.Slice(4 * Page, 0).Length);
    }

    [Fact]
    public void A_disposed_block_is_unmapped_its_file_closed_and_its_members_throw()
    {
        RamBlock block = RamBlock.Allocate("disposed-block", 4 * Page);
        Assert.Contains("memfd:rdmamig:disposed-block", File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);

        block.Dispose();
        block.Dispose();

        Assert.DoesNotContain("disposed-block", File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
        Assert.DoesNotContain(
            Directory.GetFiles("/proc/self/fd"), f => new FileInfo(f).LinkTarget?.Contains("disposed-block", StringComparison.Ordinal) == true);
        Assert.Throws<ObjectDisposedException>(() => (nint)block.Pointer);
        Assert.Throws<ObjectDisposedException>(() => block.Slice(0, 1).Length);
        Assert.Throws<ObjectDisposedException>(() => block.ResidentBytes);
        Assert.Throws<ObjectDisposedException>(() => Collect(block.Extents));
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(4095UL)]
    [InlineData(4097UL)]
    [InlineData(1UL << 63)]
    [InlineData(0xfffffffffffff000UL)]
    public void A_length_that_is_no_positive_multiple_of_a_page_is_refused_by_name_and_value(ulong length)
    {
        RamAllocationException e = Assert.Throws<RamAllocationException>(() => RamBlock.Allocate("pc.ram", length));
        Assert.Equal("pc.ram", e.BlockName);
        Assert.Contains("pc.ram", e.Message, StringComparison.Ordinal);
        Assert.Contains($"{length}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_length_that_no_address_space_holds_fails_with_the_call_and_its_errno()
    {
        RamAllocationException e = Assert.Throws<RamAllocationException>(() => RamBlock.Allocate("pc.ram", 1UL << 62));
        Assert.Contains("pc.ram", e.Message, StringComparison.Ordinal);
        LinuxException refused = Assert.IsType<LinuxException>(e.InnerException);
        Assert.True(refused.Call is "mmap" or "ftruncate", refused.Call);
        Assert.NotEqual(Errno.None, refused.Error);
    }

    [Fact]
    public void The_longest_name_works_though_a_memfd_name_is_shorter()
    {
        string name = new('n', 255);
        using RamBlock block = RamBlock.Allocate(name, Page);
        Assert.Equal(name, block.Name);
    }

    private static List<RamExtent> Collect(RamExtents extents)
    {
        List<RamExtent> list = new();
        foreach (RamExtent extent in extents)
        {
            list.Add(extent);
        }

        return list;
    }
}
