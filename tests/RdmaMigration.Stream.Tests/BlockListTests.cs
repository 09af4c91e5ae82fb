using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

public sealed class BlockListTests
{
    private const ulong Page = StreamBuilder.Page;

    [Fact]
    public void Names_and_lengths_reach_the_handler_in_order()
    {
        RecordingHandler handler = Load(b => b.BlockList(("pc.ram", 8 * Page), ("/rom@etc/acpi/tables", 2 * Page)));
        Assert.Equal([new("pc.ram", 8 * Page), new("/rom@etc/acpi/tables", 2 * Page)], handler.Descriptions);
    }

    [Fact]
    public void Page_sizes_are_read_where_they_are_and_only_there()
    {
        RecordingHandler handler = Load(b => b.UInt64((12 * Page) | 4)
            .Name("huge").UInt64(8 * Page).UInt64(2 << 20)
            .Name("plain").UInt64(2 * Page)
            .Name("last").UInt64(2 * Page).UInt64(1 << 16));
        Assert.Equal(
            [new("huge", 8 * Page) { PageSize = 2 << 20 }, new("plain", 2 * Page), new("last", 2 * Page) { PageSize = 1 << 16 }],
            handler.Descriptions);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Guest_addresses_are_read_when_the_capability_is_listed_also_behind_a_page_size(bool pageSizes)
    {
        RecordingHandler handler = Load(
            b =>
            {
                b.UInt64((10 * Page) | 4);
                b = b.Name("pc.ram").UInt64(8 * Page);
                b = (pageSizes ? b.UInt64(2 << 20) : b).UInt64(0);
                b = b.Name("pc.bios").UInt64(2 * Page);
                return (pageSizes ? b.UInt64(4096) : b).UInt64(0xfffc0000);
            },
            ignoreShared: true);

        Assert.Equal(
            [
                new("pc.ram", 8 * Page) { GuestAddress = 0, PageSize = pageSizes ? 2 << 20 : null },
                new("pc.bios", 2 * Page) { GuestAddress = 0xfffc0000, PageSize = pageSizes ? 4096 : null },
            ],
            handler.Descriptions);
    }

    [Theory]
    [InlineData(12345UL)]
    [InlineData(2048UL)]
    public void A_page_size_that_is_none_is_refused(ulong size) =>
        Assert.Contains($"page size {size}", Refused(b => b.UInt64((2 * Page) | 4).Name("a").UInt64(Page).UInt64(size)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_block_beyond_the_announced_total_is_refused_with_both_figures() =>
        Assert.Matches("'b' of 8192 bytes.*12288.*8192", Refused(b => b.UInt64((3 * Page) | 4).Name("a").UInt64(2 * Page).Name("b").UInt64(2 * Page)).Message);

    [Fact]
    public void Lengths_that_would_overflow_the_sum_are_refused() =>
        Refused(b => b.UInt64((3 * Page) | 4).Name("a").UInt64(2 * Page).Name("b").UInt64(0xfffffffffffff000));

    [Theory]
    [InlineData(0UL)]
    [InlineData(4097UL)]
    public void A_length_that_is_no_multiple_of_a_page_is_refused(ulong length) =>
        Assert.Contains($"length {length}", Refused(b => b.UInt64((3 * Page) | 4).Name("a").UInt64(length)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_name_that_comes_twice_is_refused() =>
        Assert.Contains(
            "'a' comes twice", Refused(b => b.UInt64((3 * Page) | 4).Name("a").UInt64(Page).Name("a").UInt64(Page)).Message, StringComparison.Ordinal);

    [Fact]
    public void An_empty_list_is_that_of_a_machine_without_memory()
    {
        byte[] bytes = StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 4).UInt64(4).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);
        Assert.Empty(stream.Blocks);
        Assert.Equal(bytes, Streams.Write(stream));
    }

    [Fact]
    public void More_blocks_than_RDMA_can_list_are_refused()
    {
        StreamFormatException e = Refused(b =>
        {
            b.UInt64((20000 * Page) | 4);
            for (int i = 0; i < 20000; i++)
            {
                b.Name($"{i}").UInt64(Page);
            }

            return b;
        });
        Assert.Contains($"{RamBlockList.MaxCount}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_than_the_handler_allows_is_its_own_error_and_nothing_is_mapped()
    {
        using RecordingHandler handler = new(maxRam: (4 * Page) - 1);
        RamAllocationException e = Assert.Throws<RamAllocationException>(() => Streams.Load(StreamBuilder.SmallMachine(), handler));
        Assert.Contains($"max-ram {(4 * Page) - 1}", e.Message, StringComparison.Ordinal);
        Assert.Null(handler.Blocks);
    }

    [Fact]
    public void With_x_ignore_shared_a_block_that_never_came_is_not_written_as_zero()
    {
        byte[] bytes = IgnoreShared(new StreamBuilder().Header().Configuration("test"))
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4)
            .UInt64((2 * Page) | 4).Name("shared").UInt64(Page).UInt64(0).Name("own").UInt64(Page).UInt64(0x10000).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).PageOf("own", 0, 0x44).Eos().Footer(2).EndOfFile().ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);

        Assert.True(stream.IsLeftOut(0));
        Assert.False(stream.IsLeftOut(1));
        Assert.Equal(bytes, Streams.Write(stream));
    }

    private static StreamBuilder IgnoreShared(StreamBuilder b) => b.Subsection("configuration/capabilities").UInt32(1).Name("x-ignore-shared");

    private static StreamBuilder Build(Func<StreamBuilder, StreamBuilder> list, bool ignoreShared)
    {
        StreamBuilder b = StreamBuilder.WithConfiguration();
        return list((ignoreShared ? IgnoreShared(b) : b).Opened(StreamBuilder.Start, 2, "ram", 0, 4));
    }

    /// <summary>Loads a stream with that block list twice: followed by EOS, and by a HOOK.</summary>
    private static RecordingHandler Load(Func<StreamBuilder, StreamBuilder> list, bool ignoreShared = false)
    {
        using RecordingHandler hooked = new();
        Streams.Load(Finish(Build(list, ignoreShared).Hook()), hooked);
        using RecordingHandler handler = new();
        Streams.Load(Finish(Build(list, ignoreShared)), handler);
        Assert.Equal(1, hooked.Hooks);
        Assert.Equal(handler.Descriptions, hooked.Descriptions);
        return handler;
    }

    private static byte[] Finish(StreamBuilder b) => b.Eos().Footer(2).Continued(StreamBuilder.End, 2).Eos().Footer(2).EndOfFile().ToArray();

    private static StreamFormatException Refused(Func<StreamBuilder, StreamBuilder> list) =>
        Streams.Refused(Build(list, ignoreShared: false).Raw(new byte[64]).ToArray());
}
