using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>Streams that do not state the size of a target page: it is found by trying.</summary>
public sealed class PageSizeTests
{
    /// <summary>Recorded from QEMU 7.2: an Arm board with pages of 1 KiB and an AVR board with pages of 256 bytes.</summary>
    [Theory]
    [InlineData("mps2-an385-7.2.mig.gz", 1024, 24592UL << 10)]
    [InlineData("mega2560-7.2.mig.gz", 256, 264UL << 10)]
    public void Boards_with_small_pages_are_inspected_loaded_and_written(string recording, int pageSize, ulong ram)
    {
        byte[] bytes = Recorded.Read(recording);
        StreamReport report = StreamInspector.Inspect(new MemorySource(bytes), TestOptions.Stream);
        Assert.Equal((pageSize, ram), (report.PageSize, report.Ram.TotalLength));
        Assert.Empty(report.Ram.Missing);
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);
        Assert.Equal((pageSize, StreamEnd.VmDescription), (stream.Configuration.PageSize, stream.WhyEnded));
        using RecordingHandler again = new();
        CapturedStream written = Streams.Load(Streams.Write(stream), again, options: TestOptions.Stream);
        Assert.Equal((pageSize, ram), (written.Configuration.PageSize, written.RamLength));
    }

    [Theory]
    [InlineData(256, false)]
    [InlineData(256, true)]
    [InlineData(1024, false)]
    [InlineData(1024, true)]
    [InlineData(4096, false)]
    [InlineData(8192, true)]
    [InlineData(16384, false)]
    public void A_size_that_explains_the_pages_is_found(int pageSize, bool zerosFirst)
    {
        const int Length = 64 << 10;
        byte[] memory = new byte[Length];
        new Random(pageSize).NextBytes(memory);
        int firstContent = zerosFirst ? 4 : 0;
        memory.AsSpan(0, firstContent * pageSize).Clear();
        StreamBuilder builder = StreamBuilder.WithConfiguration()
            .Opened(1, 2, "ram", 0, 4).BlockList(("a", Length)).Eos().Footer(2)
            .Continued(3, 2);
        for (int page = 0; page < Length / pageSize; page++)
        {
            string? block = page == 0 ? "a" : null;
            ulong offset = (ulong)(page * pageSize);
            _ = page < firstContent
                ? builder.Zero(block, offset)
                : builder.PageOf(block, offset, memory.AsSpan(page * pageSize, pageSize).ToArray());
        }

        byte[] bytes = builder.Eos().Footer(2).EndOfFile().ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);
        Assert.Equal(pageSize, stream.Configuration.PageSize);
        Assert.True(stream.RamBlocks[0].Slice(0, Length).SequenceEqual(memory));
    }

    [Fact]
    public void A_size_that_the_stream_states_is_not_searched_for()
    {
        byte[] bytes = new StreamBuilder().Header().Configuration("virt-7.2").Subsection("configuration/target-page-bits").UInt32(12)
            .Opened(1, 2, "ram", 0, 4).BlockList(("a", 8192)).Eos().Footer(2)
            .Continued(3, 2).Zero("a", 0).Zero(null, 1024).Eos().Footer(2).EndOfFile().ToArray();
        Assert.Equal(StreamFault.Malformed, Streams.Refused(bytes).Fault);
    }
}
