using RdmaMigration.Linux;

namespace RdmaMigration.Transport.Tests;

/// <summary>A thread that must not block, as while it holds the big lock, cannot use a channel of any kind.</summary>
public sealed class BlockingTests
{
    public static TheoryData<string> Live => OutgoingPair.Live;

    [Theory]
    [MemberData(nameof(Live))]
    public void An_outgoing_channel_throws_on_a_thread_that_must_not_block(string kind)
    {
        using OutgoingPair pair = new(kind);
        OutgoingChannel channel = pair.Channel;
        Forbidden(() => channel.Output.Write([1]));
        Forbidden(() => channel.Output.WriteGather(ReadOnlySpan<IoVector>.Empty));
        Forbidden(() => channel.Output.Finish());
        Forbidden(channel.AwaitClose);
        Forbidden(channel.SendError);
        if (channel.Input is { } returnPath)
        {
            Forbidden(() => returnPath.Read(new byte[1], TimeSpan.Zero));
        }

        Assert.Equal(0, channel.Output.SentBytes);
        channel.Output.Write([1]);
    }

    [Theory]
    [MemberData(nameof(Live))]
    public void An_incoming_channel_throws_on_a_thread_that_must_not_block(string kind)
    {
        using IncomingPair pair = new(kind);
        IncomingChannel channel = pair.Channel;
        Forbidden(() => channel.Input.Read(new byte[1], TimeSpan.Zero));
        Forbidden(channel.EndOfStream);
        Forbidden(channel.SendError);
        Forbidden(() => channel.WaitForOutput(TimeSpan.Zero));
        if (channel.Output is { } returnPath)
        {
            Forbidden(() => returnPath.Write([1], TimeSpan.Zero));
        }

        pair.Source.Write([1]);
        Assert.Equal(1, channel.Input.Read(new byte[1], TimeSpan.FromSeconds(10)));
    }

    /// <summary>What every channel over RDMA is made of.</summary>
    [Fact]
    public void Ram_beside_the_stream_throws_on_a_thread_that_must_not_block()
    {
        NoRam ram = new();
        Forbidden(() => ram.ExchangeBlocks([]));
        Forbidden(ram.Send);
        Forbidden(() => ram.Send(new PageList()));
        Assert.Equal(0, ram.Calls);
        ram.Send();
        Assert.Equal(1, ram.Calls);
    }

    private static void Forbidden(Action call)
    {
        BlockingCalls.Forbid("the test says so");
        try
        {
            Assert.Throws<InvalidOperationException>(call);
        }
        finally
        {
            BlockingCalls.Allow();
        }
    }

    private sealed class NoRam : OutgoingRam
    {
        public int Calls { get; private set; }

        public override bool PinAll => false;

        public override long SentBytes => 0;

        public override long ZeroBytes => 0;

        protected override void Exchange(IReadOnlyList<Memory.RamBlock> blocks, bool runs) => Calls++;

        protected override void SendAll() => Calls++;

        protected override void SendSet(Memory.IPageSet pages) => Calls++;
    }
}
