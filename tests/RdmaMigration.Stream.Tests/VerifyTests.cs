using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>Digests of RAM in the stream, which the destination compares.</summary>
public sealed class VerifyTests
{
    private const string Section = "rdmamig/ram-digest";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_machine_with_digests_is_compared_and_kept_without_them(bool footers)
    {
        byte[] machine = StreamBuilder.SmallMachine(footers);
        using RecordingHandler handler = new();
        using IncomingStream stream = new(new MemorySource(WithDigests(machine)), handler, TestOptions.Stream);
        CapturedStream loaded = stream.Load(BigLockState.NotHeld);

        Assert.Equal(2, stream.VerifiedBlocks);
        Assert.Equal(machine, Streams.Write(loaded));
    }

    [Fact]
    public void Without_digests_nothing_is_compared()
    {
        using RecordingHandler handler = new();
        using IncomingStream stream = new(new MemorySource(StreamBuilder.SmallMachine()), handler, TestOptions.Stream);
        stream.Load(BigLockState.NotHeld);
        Assert.Equal(0, stream.VerifiedBlocks);
    }

    [Theory]
    [InlineData(0x11, "a")]
    [InlineData(0x22, "a")]
    [InlineData(0x33, "b")]
    public void A_bit_that_changed_on_the_way_is_found_and_its_block_is_named(byte content, string block)
    {
        byte[] bytes = WithDigests(StreamBuilder.SmallMachine());
        byte[] page = new byte[StreamBuilder.Page];
        page.AsSpan().Fill(content);
        bytes[bytes.AsSpan().IndexOf(page) + 2000] ^= 4;

        StreamFormatException refused = Streams.Refused(bytes);

        Assert.Equal(StreamFault.Corrupt, refused.Fault);
        Assert.Contains($"'{block}'", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("another version")]
    [InlineData("more than there are blocks")]
    [InlineData("an unknown block")]
    [InlineData("a block twice")]
    [InlineData("before the block list")]
    public void Digests_that_no_source_sends_are_refused(string wrong)
    {
        StreamBuilder section = new StreamBuilder().Opened(StreamBuilder.Full, uint.MaxValue, Section, 0, wrong == "another version" ? 2u : 1u);
        string[] blocks = wrong switch
        {
            "more than there are blocks" => ["a", "b", "c"],
            "an unknown block" => ["a", "c"],
            "a block twice" => ["a", "a"],
            _ => ["a", "b"],
        };
        section.UInt32((uint)blocks.Length);
        foreach (string block in blocks)
        {
            section.Name(block).UInt64(1).UInt64(2);
        }

        section.Footer(uint.MaxValue);
        StreamBuilder stream = StreamBuilder.WithConfiguration();
        stream = wrong == "before the block list" ? stream.Raw(section.ToArray()) : stream;
        stream = stream.Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", StreamBuilder.Page), ("b", StreamBuilder.Page)).Eos().Footer(2);
        byte[] bytes = stream.Raw(section.ToArray()).Continued(StreamBuilder.End, 2).Zero("a", 0).Zero("b", 0).Eos().Footer(2).EndOfFile().ToArray();

        Assert.Equal(wrong == "another version" ? StreamFault.Unsupported : StreamFault.Malformed, Streams.Refused(bytes).Fault);
    }

    private static byte[] WithDigests(byte[] machine)
    {
        using RecordingHandler handler = new();
        MemorySink sink = new();
        CaptureWriter.Write(Streams.Load(machine, handler), sink, new CaptureWriterOptions { Verify = true }, progress: null);
        return sink.ToArray();
    }
}
