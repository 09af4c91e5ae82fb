using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

public sealed unsafe class CaptureWriterTests
{
    private const ulong Page = StreamBuilder.Page;

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void A_canonical_stream_comes_out_as_it_went_in(bool footers, bool vmDescription)
    {
        byte[] bytes = StreamBuilder.SmallMachine(footers, vmDescription);
        using RecordingHandler handler = new();
        Assert.Equal(bytes, Streams.Write(Streams.Load(bytes, handler)));
    }

    [Fact]
    public void Memory_that_came_by_RDMA_in_many_sections_is_written_as_one_section()
    {
        byte[] rdma = StreamBuilder.WithConfiguration().Command(1).Command(2, 0, 0, 0, 1)
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 4 * Page), ("b", Page)).Hook().Eos().Footer(2)
            .Continued(StreamBuilder.Part, 2).Hook().Eos().Footer(2)
            .Continued(StreamBuilder.Part, 2).Hook().Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Hook().Eos().Footer(2)
            .Opened(StreamBuilder.Full, 3, "dev", 0, 1).UInt32(0xfeedface).Footer(3)
            .EndOfFile().VmDescription(StreamBuilder.SmallDescription).ToArray();
        RecordingHandler? self = null;
        using RecordingHandler handler = new()
        {
            WhenHooked = () =>
            {
                self!.Blocks![0].Slice(0, (int)Page).Fill(0x11);
                self.Blocks[0].Slice(2 * Page, (int)Page).Fill(0x22);
                self.Blocks[1].Slice(0, (int)Page).Fill(0x33);
            },
        };
        self = handler;
        Assert.Equal(StreamBuilder.SmallMachine(), Streams.Write(Streams.Load(rdma, handler)));
    }

    [Fact]
    public void Page_sizes_of_blocks_are_dropped_with_the_advice_that_announced_them()
    {
        byte[] bytes = StreamBuilder.WithConfiguration().Command(3, new byte[16])
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).UInt64(Page | 4).Name("a").UInt64(Page).UInt64(2 << 20).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Zero("a", 0).Eos().Footer(2).EndOfFile().ToArray();
        byte[] expected = StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", Page)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Zero("a", 0).Eos().Footer(2).EndOfFile().ToArray();
        using RecordingHandler handler = new();
        Assert.Equal(expected, Streams.Write(Streams.Load(bytes, handler)));
    }

    [Fact]
    public void Pages_are_handed_over_where_they_lie_in_batches_of_bounded_size()
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Machine(handler, pages: 5000);
        stream.RamBlocks[0].Slice(0, (int)(5000 * Page)).Fill(1);
        MemorySink sink = new();
        CaptureWriter.Write(stream, sink, cancellation: TestContext.Current.CancellationToken);

        IoSegment[] pages = [.. sink.Batches.SelectMany(b => b).Where(s => s.Length == Page)];
        Assert.Equal(5000, pages.Length);
        for (int i = 0; i < pages.Length; i++)
        {
            Assert.Equal((nint)(stream.RamBlocks[0].Pointer + ((ulong)i * Page)), (nint)pages[i].Address);
        }

        Assert.All(sink.Batches, b => Assert.InRange(b.Length, 1, CaptureWriter.MaxSegments));
    }

    [Fact]
    public void Writing_neither_touches_holes_nor_forgets_them()
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Machine(handler, pages: 5000);
        byte[] bytes = Streams.Write(stream);

        Assert.Equal(0UL, stream.RamBlocks.ResidentBytes);
        using RecordingHandler second = new() { InitialContent = 0xff };
        CapturedStream again = Streams.Load(bytes, second);
        Assert.True(ZeroScan.IsZero(again.RamBlocks[0].Slice(0, (int)again.RamBlocks[0].Length)));
    }

    [Fact]
    public void Any_mix_of_holes_zero_pages_and_data_reads_back_the_same()
    {
        Random random = new(20260714);
        for (int round = 0; round < 20; round++)
        {
            int pages = random.Next(1, 600);
            using RecordingHandler handler = new();
            CapturedStream stream = Machine(handler, pages);
            for (int i = 0; i < pages; i++)
            {
                Span<byte> page = stream.RamBlocks[0].Slice((ulong)i * Page, (int)Page);
                switch (random.Next(4))
                {
                    case 0:
                        random.NextBytes(page);
                        break;
                    case 1:
                        page[random.Next(page.Length)] = 1;
                        break;
                    case 2:
                        page[0] = 0;
                        break;
                }
            }

            using RecordingHandler second = new();
            CapturedStream again = Streams.Load(Streams.Write(stream), second);
            Assert.Equal(Streams.Content(stream.RamBlocks[0]), Streams.Content(again.RamBlocks[0]));
        }
    }

    [Fact]
    public void Progress_grows_to_the_whole_and_counts_the_bytes_that_went_out()
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Machine(handler, pages: 5000);
        stream.RamBlocks[0].Slice(0, (int)(2000 * Page)).Fill(1);
        List<CaptureProgress> seen = new();
        MemorySink sink = new();
        CaptureWriter.Write(stream, sink, seen.Add, TestContext.Current.CancellationToken);

        Assert.True(seen.Count > 3);
        Assert.Equal(seen.OrderBy(p => p.Stage).ThenBy(p => p.RamDone).ThenBy(p => p.BytesWritten), seen);
        Assert.Equal(new CaptureProgress(5000 * Page, 3000 * Page, 5000 * Page, (ulong)sink.ToArray().Length, CaptureStage.Complete), seen[^1]);
    }

    [Fact]
    public void Cancelling_stops_before_the_next_batch()
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Machine(handler, pages: 5000);
        stream.RamBlocks[0].Slice(0, (int)(5000 * Page)).Fill(1);
        using CancellationTokenSource cancellation = new();
        MemorySink sink = new();
        Assert.Throws<OperationCanceledException>(() => CaptureWriter.Write(stream, sink, _ => cancellation.Cancel(), cancellation.Token));
        Assert.Single(sink.Batches);
    }

    [Fact]
    public void IoSegment_has_the_layout_of_iovec()
    {
        Assert.Equal(2 * sizeof(nint), sizeof(IoSegment));
        IoSegment segment = new((byte*)0x1234, 0x5678);
        Assert.Equal(0x1234, ((nint*)&segment)[0]);
        Assert.Equal(0x5678, ((nint*)&segment)[1]);
    }

    /// <summary>A machine with one block of that many pages, all holes.</summary>
    private static CapturedStream Machine(RecordingHandler handler, int pages) => Streams.Load(
        StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("pc.ram", (ulong)pages * Page)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray(),
        handler);
}
