using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

public sealed class AllocationTests
{
    private const ulong Page = StreamBuilder.Page;

    [Fact]
    public void Loading_ten_times_as_many_pages_allocates_no_more()
    {
        AllocatedByLoading(100);
        Assert.Equal(Least(() => AllocatedByLoading(400)), Least(() => AllocatedByLoading(4000)));
    }

    [Fact]
    public void Writing_ten_times_as_many_pages_allocates_no_more()
    {
        AllocatedByWriting(100);
        Assert.Equal(Least(() => AllocatedByWriting(400)), Least(() => AllocatedByWriting(4000)));
    }

    /// <summary>A collection of another test's garbage empties the array pool now and then, so that a run has to fill it again.</summary>
    private static long Least(Func<long> allocated) => Enumerable.Range(0, 5).Min(_ => allocated());

    private static long AllocatedByLoading(int pages)
    {
        using RecordingHandler handler = new();
        IncomingStream incoming = new(new MemorySource(Machine(pages), 32768), handler, TestOptions.Stream with { AllowsMissingPages = true });
        long before = GC.GetAllocatedBytesForCurrentThread();
        incoming.Load(BigLockState.NotHeld);
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static long AllocatedByWriting(int pages)
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(Machine(pages), handler);
        CountingSink sink = new();
        long before = GC.GetAllocatedBytesForCurrentThread();
        CaptureWriter.Write(stream, sink, cancellation: TestContext.Current.CancellationToken);
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    /// <summary>Of every four pages two are data, one is zero, one is named with its block.</summary>
    private static byte[] Machine(int pages)
    {
        StreamBuilder b = StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("pc.ram", 4000 * Page), ("b", Page)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).PageOf("pc.ram", 0, 1);
        for (int i = 1; i < pages; i++)
        {
            ulong offset = (ulong)i * Page;
            b = (i % 4) switch
            {
                0 => b.Zero(null, offset),
                1 => b.PageOf("pc.ram", offset, 2),
                _ => b.PageOf(null, offset, 3),
            };
        }

        return b.Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
    }

    private sealed class CountingSink : IStreamSink
    {
        private ulong _written;

        public void Write(ReadOnlySpan<byte> bytes) => _written += (ulong)bytes.Length;

        public void WriteGather(ReadOnlySpan<IoSegment> segments)
        {
            foreach (ref readonly IoSegment segment in segments)
            {
                _written += segment.Length;
            }
        }
    }
}
