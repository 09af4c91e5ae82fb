using System.Net;
using RdmaMigration.Testing;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport.Tests;

/// <summary>One connection by itself, on the real device.</summary>
[Trait("needs", "rdma")]
public sealed class RdmaConnectionTests : IDisposable
{
    private static readonly RdmaConnectionOptions s_options = new(TimeSpan.Zero, TimeSpan.FromSeconds(20), TimeSpan.Zero, SendDepth: 16);
    private static readonly ControlHeader s_ready = new(0, ControlMessageType.Ready, 1);

    private readonly CompletionWaiter _waiter = new();

    /// <summary>A request that the device refuses, whose reason nobody knows yet.</summary>
    [Fact]
    public void A_request_that_the_device_refuses_is_the_connections_loss()
    {
        using RdmaConnection connection = NotConnected();
        ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => connection.Control.Send(s_ready, []));
        Assert.Equal(ConnectionLoss.TransportError, lost.Loss);
        Assert.Contains("ibv_post_send: EINVAL", lost.Message, StringComparison.Ordinal);
        Assert.Equal((lost.Loss, lost.Message), (connection.Lost!.Loss, connection.Lost.Message));
        Assert.Throws<ConnectionLostException>(() => connection.Control.Receive(Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public void A_write_that_the_device_refuses_is_the_connections_loss()
    {
        using RdmaConnection connection = NotConnected();
        Assert.Throws<ConnectionLostException>(() => connection.AddWriteLane().TryWrite(0, 1, 0, 0, 0, last: true));
        Assert.Equal(ConnectionLoss.TransportError, connection.Lost!.Loss);
    }

    [Fact]
    public void When_the_reason_is_known_a_refused_request_does_not_hide_it()
    {
        using RdmaConnection connection = NotConnected();
        connection.Fail(ConnectionLoss.Disconnected, "it was the peer");
        ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => connection.Control.SendLast(s_ready, [], TimeSpan.FromSeconds(20)));
        Assert.Equal("it was the peer", lost.Message);
    }

    [Fact]
    public void A_last_message_that_cannot_be_sent_says_why_and_not_that_this_side_gave_up()
    {
        using RdmaConnection connection = NotConnected();
        connection.Fail(ConnectionLoss.Shutdown, "cancelled");
        Assert.Contains(
            "ibv_post_send",
            Assert.Throws<ConnectionLostException>(() => connection.Control.SendLast(s_ready, [], TimeSpan.FromSeconds(20))).Message,
            StringComparison.Ordinal);
        Assert.Equal("cancelled", connection.Lost!.Message);
    }

    /// <summary>As the kernel does where it removes a device without waiting for this process. soft-RoCE cannot, so the descriptor is replaced.</summary>
    [Fact]
    public unsafe void A_completion_channel_that_the_kernel_closed_fails_the_connection()
    {
        using RdmaConnection connection = NotConnected();
        int* pipe = stackalloc int[2];
        Assert.Equal(0, Tmds.Linux.LibC.pipe(pipe));
        Assert.Equal(0, Tmds.Linux.LibC.close(pipe[0]));
        int channel = connection.Watched.Descriptors[0];
        Assert.Equal(channel, Tmds.Linux.LibC.dup2(pipe[1], channel));
        Assert.Equal(0, Tmds.Linux.LibC.close(pipe[1]));
        connection.Watch();
        Assert.True(SpinWait.SpinUntil(() => connection.Lost is not null, TimeSpan.FromSeconds(20)), "the connection is not lost");
        Assert.Equal(ConnectionLoss.DeviceRemoval, connection.Lost!.Loss);
        Assert.True(SpinWait.SpinUntil(() => connection.Watched.Descriptors[0] < 0, TimeSpan.FromSeconds(20)), "the descriptor is still polled");
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void The_end_of_one_joined_connection_ends_the_other_also_when_it_came_first(bool before, bool second)
    {
        using RdmaConnection main = NotConnected();
        using RdmaConnection back = NotConnected();
        RdmaConnection lost = second ? back : main;
        if (before)
        {
            lost.Fail(ConnectionLoss.Disconnected, "gone");
            main.Join(back);
        }
        else
        {
            main.Join(back);
            lost.Fail(ConnectionLoss.Disconnected, "gone");
        }

        Assert.Equal(("gone", "gone"), (main.Lost?.Message, back.Lost?.Message));
    }

    [Fact]
    public void The_peers_address_is_known_after_a_connection_is_freed()
    {
        RdmaConnection connection = NotConnected();
        connection.Dispose();
        Assert.Equal(RdmaAddress.V4, connection.PeerAddress);
    }

    public void Dispose() => _waiter.Dispose();

    /// <summary>A connection that stops before it asks the peer: its queue pair takes receives, and refuses everything else.</summary>
    private RdmaConnection NotConnected()
    {
        EventChannel events = EventChannel.Create();
        CmId id = CmId.Create(events);
        id.ResolveAddress(new IPEndPoint(RdmaAddress.V4, 1), TimeSpan.FromSeconds(20));
        Await(events, CmEventType.AddressResolved);
        id.ResolveRoute(TimeSpan.FromSeconds(20));
        Await(events, CmEventType.RouteResolved);
        RdmaConnection connection = RdmaConnection.Create(_waiter, id, events, s_options);
        connection.PostReceives();
        return connection;
    }

    private static void Await(EventChannel events, CmEventType wanted)
    {
        Assert.True(events.Wait(TimeSpan.FromSeconds(60)));
        Assert.True(events.TryGetEvent(out CmEvent? happened));
        using (happened)
        {
            Assert.Equal(wanted, happened!.Type);
        }
    }
}
