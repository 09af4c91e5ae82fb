namespace RdmaMigration.Memory.Tests;

public sealed class RamBlockListTests
{
    private const ulong Page = 4096;

    [Fact]
    public void Blocks_keep_their_order_and_are_found_by_name()
    {
        using RamBlockList blocks = RamBlockList.Allocate([new("pc.ram", 8 * Page), new("pc.bios", 2 * Page)], 10 * Page);

        Assert.Equal(["pc.ram", "pc.bios"], blocks.Select(b => b.Name));
        Assert.Equal(10 * Page, blocks.TotalLength);
        Assert.True(blocks.TryGetIndex("pc.bios", out int index));
        Assert.Equal(1, index);
        Assert.False(blocks.TryGetIndex("PC.BIOS", out _));
    }

    [Fact]
    public void Resident_bytes_are_those_of_all_blocks()
    {
        using RamBlockList blocks = RamBlockList.Allocate([new("a", 8 * Page), new("b", 2 * Page)], 10 * Page);
        blocks[0].Slice(0, 1)[0] = 1;
        blocks[1].Slice(0, (int)(2 * Page)).Fill(1);
        Assert.Equal(3 * Page, blocks.ResidentBytes);
    }

    [Fact]
    public void One_byte_more_than_max_ram_is_refused_naming_block_value_and_bound()
    {
        RamAllocationException e = Refused([new("a", 8 * Page), new("b", 2 * Page)], (10 * Page) - 1);
        Assert.Equal("b", e.BlockName);
        Assert.Contains("'b'", e.Message, StringComparison.Ordinal);
        Assert.Contains($"{2 * Page}", e.Message, StringComparison.Ordinal);
        Assert.Contains($"{(10 * Page) - 1}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Lengths_whose_sum_overflows_are_refused_even_with_no_bound()
    {
        RamAllocationException e = Refused([new("a", 0xfffffffffffff000), new("b", 0xfffffffffffff000)], ulong.MaxValue);
        Assert.Contains("'b'", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(1UL)]
    [InlineData(4097UL)]
    public void A_length_that_is_no_positive_multiple_of_a_page_is_refused(ulong length) =>
        Assert.Contains($"{length} is not", Refused([new("a", length)], 1 << 20).Message, StringComparison.Ordinal);

    [Fact]
    public void A_multiple_of_the_target_page_that_is_none_of_a_larger_page_is_accepted()
    {
        using RamBlockList blocks = RamBlockList.Allocate([new("/rom@etc/acpi/rsdp", Page), new("odd", 33 * Page)], 1 << 20);
        Assert.Equal(34 * Page, blocks.TotalLength);
    }

    [Fact]
    public void A_name_that_comes_twice_is_refused_with_both_places() =>
        Assert.Matches("'a'.*block 0.*block 2", Refused([new("a", Page), new("b", Page), new("a", Page)], 1 << 20).Message);

    [Fact]
    public void An_empty_name_is_refused() => Assert.Contains("block 1", Refused([new("a", Page), new("", Page)], 1 << 20).Message, StringComparison.Ordinal);

    [Fact]
    public void More_blocks_than_a_control_message_can_list_are_refused()
    {
        RamBlockDescription[] many = [.. Enumerable.Range(0, RamBlockList.MaxCount + 1).Select(i => new RamBlockDescription($"b{i}", Page))];
        Assert.Contains("16384", Refused(many, ulong.MaxValue).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failure_in_the_middle_leaves_nothing_mapped()
    {
        Refused([new("left-behind", Page), new("too-large", 1UL << 62)], ulong.MaxValue);
        Assert.DoesNotContain("left-behind", File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
    }

    [Fact]
    public void Disposing_the_list_unmaps_its_blocks()
    {
        RamBlockList blocks = RamBlockList.Allocate([new("list-a", Page), new("list-b", Page)], 1 << 20);
        blocks.Dispose();
        Assert.DoesNotContain("rdmamig:list-", File.ReadAllText("/proc/self/maps"), StringComparison.Ordinal);
    }

    private static RamAllocationException Refused(RamBlockDescription[] blocks, ulong maxRam) =>
        Assert.Throws<RamAllocationException>(() => RamBlockList.Allocate(blocks, maxRam));
}
