using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>Zero pages for memory that nobody wrote to.</summary>
public sealed class FreshRamTests
{
    private const ulong Page = StreamBuilder.Page;

    private static readonly IncomingStreamOptions s_fresh = TestOptions.Stream with { RamIsFresh = true, AllowsMissingPages = true };

    [Fact]
    public void Zero_pages_stay_holes()
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(Machine(b => b.Zero("a", 0).Zero(null, Page).PageOf(null, 2 * Page, 7)), handler, options: s_fresh);
        Assert.Equal(Page, stream.RamBlocks.ResidentBytes);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Zero_pages_that_come_again_take_no_memory(bool isFresh)
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(
            Machine(b => b.Zero("a", 0).Zero(null, Page).Zero(null, 0).Zero(null, Page).PageOf(null, 2 * Page, 7)),
            handler,
            options: s_fresh with { RamIsFresh = isFresh });
        Assert.Equal(Page, stream.RamBlocks.ResidentBytes);
    }

    [Fact]
    public void A_zero_page_that_comes_after_a_page_for_the_same_memory_clears_it()
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(
            Machine(b => b.PageOf("a", 0, 7).Zero(null, Page, fill: 9).Zero(null, 0).Zero(null, Page)), handler, options: s_fresh);
        Assert.True(ZeroScan.IsZero(stream.RamBlocks[0].Slice(0, (int)(2 * Page))));
    }

    [Fact]
    public void After_a_HOOK_memory_may_have_been_written_beside_the_stream_and_is_cleared()
    {
        RecordingHandler? self = null;
        using RecordingHandler handler = new() { WhenHooked = () => self!.Blocks![0].Slice(0, (int)Page).Fill(7) };
        self = handler;
        CapturedStream stream = Streams.Load(Machine(b => b.Hook().Zero("a", 0)), handler, options: s_fresh);
        Assert.True(ZeroScan.IsZero(stream.RamBlocks[0].Slice(0, (int)Page)));
    }

    private static byte[] Machine(Func<StreamBuilder, StreamBuilder> pages) => pages(
        StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 4 * Page)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2)).Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
}
