using System.IO.Compression;
using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

public sealed class RamSectionTests
{
    private const int Page = StreamBuilder.Page;

    [Fact]
    public void Pages_zero_pages_and_continued_pages_land_where_they_belong()
    {
        using RecordingHandler handler = new();
        Streams.Load(StreamBuilder.SmallMachine(), handler);

        byte[] a = Streams.Content(handler.Blocks![0]);
        Assert.Equal(Page, a.AsSpan(0, Page).Count((byte)0x11));
        Assert.True(ZeroScan.IsZero(a.AsSpan(Page, Page)));
        Assert.Equal(Page, a.AsSpan(2 * Page, Page).Count((byte)0x22));
        Assert.True(ZeroScan.IsZero(a.AsSpan(3 * Page, Page)));
        Assert.Equal(Page, Streams.Content(handler.Blocks[1]).AsSpan().Count((byte)0x33));
    }

    [Fact]
    public void A_zero_page_does_not_touch_a_hole()
    {
        using RecordingHandler handler = new();
        Streams.Load(StreamBuilder.SmallMachine(), handler);
        Assert.Equal(3UL * Page, handler.Blocks!.ResidentBytes);
    }

    [Fact]
    public void A_zero_page_clears_what_an_earlier_section_sent()
    {
        using RecordingHandler handler = new();
        Load(handler, b => b.PageOf("a", 0, 0x11).Eos().Footer(2).Continued(StreamBuilder.Part, 2).Zero("a", 0));
        Assert.True(ZeroScan.IsZero(handler.Blocks![0].Slice(0, Page)));
    }

    [Fact]
    public void A_fill_byte_other_than_zero_fills_the_page()
    {
        using RecordingHandler handler = new();
        Load(handler, b => b.Zero("a", Page, fill: 0x5a));
        Assert.Equal(Page, handler.Blocks![0].Slice(Page, Page).Count((byte)0x5a));
    }

    [Fact]
    public void CONTINUE_means_the_block_of_the_last_section_too()
    {
        using RecordingHandler handler = new();
        Load(handler, b => b.PageOf("b", 0, 0x11).Eos().Footer(2).Continued(StreamBuilder.Part, 2).PageOf(null, 0, 0x22));
        Assert.Equal(0x22, handler.Blocks![1].Slice(0, 1)[0]);
    }

    [Fact]
    public void An_XBZRLE_page_changes_the_page_that_was_sent_before()
    {
        using RecordingHandler handler = new();
        Load(handler, b => b.PageOf("a", 0, 0x11)
            .Entry(0, 0x40, null).Byte(1).UInt16(8).Raw(3, 2, 0xaa, 0xbb, 0x80, 0x01, 1, 0xcc));

        byte[] expected = Enumerable.Repeat((byte)0x11, Page).ToArray();
        expected[3] = 0xaa;
        expected[4] = 0xbb;
        expected[5 + 128] = 0xcc;
        Assert.Equal(expected, handler.Blocks![0].Slice(0, Page).ToArray());
    }

    [Fact]
    public void A_compressed_page_is_decompressed()
    {
        byte[] content = new byte[Page];
        new Random(1).NextBytes(content);
        byte[] compressed = Compress(content);
        Assert.True(compressed.Length > Page, "a page that does not compress is the longest that a source sends");
        using RecordingHandler handler = new();
        Load(handler, b => b.Entry(Page, 0x100, "a").UInt32((uint)compressed.Length).Raw(compressed));
        Assert.Equal(content, handler.Blocks![0].Slice(Page, Page).ToArray());
    }

    [Fact]
    public void A_compressed_page_that_ends_early_is_refused() =>
        RefusedEntry(b => Compressed(b, Compress(new byte[Page - 1])), "does not decompress to 4096 bytes");

    [Fact]
    public void Compressed_bytes_that_are_none_are_refused() =>
        RefusedEntry(b => Compressed(b, [1, 2, 3, 4, 5]), "does not decompress");

    [Fact]
    public void Compressed_bytes_that_ask_for_a_dictionary_are_refused() =>
        RefusedEntry(b => Compressed(b, [0x78, 0xbb, 1, 2, 3, 4, 5, 6, 7]), "does not decompress");

    [Fact]
    public void A_compressed_length_beyond_any_page_is_refused_before_it_is_read() =>
        RefusedEntry(b => b.Entry(0, 0x100, "a").UInt32(uint.MaxValue), "compressed page of 4294967295 bytes");

    [Fact]
    public void An_XBZRLE_page_that_leaves_the_page_is_refused() =>
        RefusedEntry(b => b.Entry(0, 0x40, "a").Byte(1).UInt16(4).Raw(0xff, 0x1f, 2, 0), "does not decode");

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 4097)]
    public void An_XBZRLE_header_out_of_bounds_is_refused(int encoding, int length) =>
        RefusedEntry(b => b.Entry(0, 0x40, "a").Byte((byte)encoding).UInt16((ushort)length), $"{length} bytes");

    [Fact]
    public void A_HOOK_calls_the_handler_once_and_the_entries_go_on_behind_it()
    {
        using RecordingHandler handler = new();
        Load(handler, b => b.Hook().PageOf("a", 0, 0x11));
        Assert.Equal(1, handler.Hooks);
        Assert.Equal(0x11, handler.Blocks![0].Slice(0, 1)[0]);
    }

    [Fact]
    public void What_the_handler_throws_in_a_control_phase_passes_through()
    {
        using RecordingHandler handler = new() { WhenHooked = () => throw new TimeoutException("silent") };
        Assert.Throws<TimeoutException>(() => Load(handler, b => b.Hook()));
    }

    [Fact]
    public void A_multifd_stream_is_refused_in_words() =>
        Assert.Equal(StreamFault.Unsupported, RefusedEntry(b => b.UInt64(0x200), "multifd").Fault);

    [Theory]
    [InlineData(0x000UL)]
    [InlineData(0x001UL)]
    [InlineData(0x004UL)]
    [InlineData(0x00aUL)]
    [InlineData(0x030UL)]
    [InlineData(0x0a0UL)]
    [InlineData(0x1080UL)]
    [InlineData(0x1010UL)]
    [InlineData(0x400UL)]
    [InlineData(0xffffffffffffffffUL)]
    public void An_entry_of_unknown_flags_is_refused_with_its_value(ulong entry) => RefusedEntry(b => b.UInt64(entry), $"0x{entry:x16}");

    [Theory]
    [InlineData(4UL * Page)]
    [InlineData(1UL << 40)]
    [InlineData(0xfffffffffffff000UL)]
    public void A_page_outside_its_block_is_refused_with_block_and_length(ulong offset) =>
        RefusedEntry(b => b.Entry(offset, 8, "a"), $"0x{offset:x} is outside RAM block 'a' of 0x4000 bytes");

    [Fact]
    public void A_page_of_an_unknown_block_is_refused_by_name() => RefusedEntry(b => b.Entry(0, 8, "pc.ram"), "'pc.ram'");

    [Fact]
    public void CONTINUE_before_any_block_is_named_is_refused() => RefusedEntry(b => b.Zero(null, 0), "CONTINUE");

    [Fact]
    public void Another_version_of_the_RAM_section_is_refused() => Assert.Contains(
        "version 5",
        Streams.Refused(StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 5).ToArray()).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData(0x10UL)]
    [InlineData(0x80UL)]
    public void A_START_section_without_block_list_is_refused(ulong entry) => Assert.Contains(
        "block list",
        Streams.Refused(StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 4).UInt64(entry).Raw(new byte[16]).ToArray()).Message,
        StringComparison.Ordinal);

    [Fact]
    public void A_block_list_in_a_later_section_is_refused() =>
        RefusedEntry(b => b.UInt64(0x1000 | 4).Name("a").UInt64(0x1000), "not allowed here");

    [Fact]
    public void A_footer_of_another_section_is_refused_with_both_ids() =>
        RefusedEntry(b => b.Eos().Footer(9), "section 9, but section 2");

    [Fact]
    public void A_missing_footer_is_refused_once_there_was_one() =>
        RefusedEntry(b => b.Eos().Continued(StreamBuilder.End, 2), "footer");

    [Fact]
    public void Pages_of_the_size_that_the_configuration_says_are_read()
    {
        byte[] page = new byte[16384];
        page.AsSpan().Fill(0x77);
        byte[] bytes = StreamBuilder.WithConfiguration().Subsection("configuration/target-page-bits").UInt32(14)
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 32768)).Eos()
            .Continued(StreamBuilder.End, 2).Zero("a", 0).PageOf(null, 16384, page).Eos().EndOfFile().ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);
        Assert.Equal(page, handler.Blocks![0].Slice(16384, 16384).ToArray());
        Assert.Equal(bytes, Streams.Write(stream));
    }

    /// <summary>A stream whose END section has the given entries.</summary>
    private static StreamBuilder Start() => StreamBuilder.WithConfiguration()
        .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 4 * Page), ("b", Page)).Eos().Footer(2).Continued(StreamBuilder.Part, 2);

    private static CapturedStream Load(RecordingHandler handler, Func<StreamBuilder, StreamBuilder> entries) =>
        Streams.Load(entries(Start()).Eos().Footer(2).Continued(StreamBuilder.End, 2).Eos().Footer(2).EndOfFile().ToArray(), handler);

    private static StreamFormatException RefusedEntry(Func<StreamBuilder, StreamBuilder> entries, string words)
    {
        StreamFormatException e = Streams.Refused(entries(Start()).Raw(new byte[Page]).ToArray());
        Assert.Contains(words, e.Message, StringComparison.Ordinal);
        return e;
    }

    private static StreamBuilder Compressed(StreamBuilder b, byte[] compressed) => b.Entry(0, 0x100, "a").UInt32((uint)compressed.Length).Raw(compressed);

    private static byte[] Compress(byte[] content)
    {
        using MemoryStream memory = new();
        using (ZLibStream zlib = new(memory, CompressionLevel.Fastest))
        {
            zlib.Write(content);
        }

        return memory.ToArray();
    }
}
