using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>Over RDMA each read that finds nothing sends a READY, so a read too many breaks the protocol.</summary>
public sealed class ReadAheadTests
{
    /// <summary>
    /// The messages of PROTOCOL.md, RAM phases, as a source sends them: a HOOK ends a message, and the next one comes only after the control phase.
    /// </summary>
    [Fact]
    public void No_message_is_asked_for_before_its_turn()
    {
        byte[][] messages =
        [
            StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 8192)).Hook().ToArray(),
            new StreamBuilder().Eos().ToArray(),
            new StreamBuilder().Footer(2).Continued(StreamBuilder.Part, 2).Hook().ToArray(),
            new StreamBuilder().Eos().ToArray(),
            new StreamBuilder().Footer(2).Command(11).ToArray(),
            new StreamBuilder().Continued(StreamBuilder.End, 2).Hook().ToArray(),
            new StreamBuilder().Eos().ToArray(),
            new StreamBuilder().Footer(2).Opened(StreamBuilder.Full, 3, "dev", 0, 1).UInt32(1).Footer(3).ToArray(),
            new StreamBuilder().EndOfFile().VmDescription("{}").ToArray(),
        ];
        PiecewiseSource source = new(messages);
        List<int> readsAtHook = new();
        using RecordingHandler handler = new() { WhenHooked = () => readsAtHook.Add(source.Reads) };
        CapturedStream stream = new IncomingStream(source, handler, TestOptions.Stream with { AllowsMissingPages = true }).Load(BigLockState.NotHeld);

        Assert.Equal([1, 3, 6], readsAtHook);

        // One more, for what may follow: a source that has ended takes the READY and does not look at it.
        Assert.Equal(messages.Length + 1, source.Reads);
        Assert.Equal(StreamEnd.VmDescription, stream.WhyEnded);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4095)]
    [InlineData(4097)]
    public void A_trickle_gives_the_same_machine(int mostPerRead)
    {
        byte[] bytes = StreamBuilder.SmallMachine();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, mostPerRead);
        Assert.Equal(bytes, Streams.Write(stream));
    }

    [Fact]
    public void A_source_that_claims_more_than_the_buffer_holds_is_caught()
    {
        using RecordingHandler handler = new();
        IncomingStream incoming = new(new LyingSource(), handler, TestOptions.Stream);
        InvalidOperationException lie = Assert.Throws<InvalidOperationException>(() => incoming.Load(BigLockState.NotHeld));
        Assert.Contains(nameof(LyingSource), lie.Message, StringComparison.Ordinal);
    }

    private sealed class LyingSource : IStreamSource
    {
        public int Read(Span<byte> buffer) => buffer.Length + 1;
    }
}
