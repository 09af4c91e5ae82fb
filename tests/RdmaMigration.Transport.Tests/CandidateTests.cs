using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace RdmaMigration.Transport.Tests;

/// <summary>Connections by a socket that are no source, or have not shown it yet: who is served, who waits, who is closed.</summary>
public sealed class CandidateTests
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(10);
    private static readonly byte[] s_multifd = [0x11, 0x22, 0x33, 0x44];

    [Fact]
    public void A_port_check_is_no_migration()
    {
        using Listening listening = Anywhere();
        IncomingPair.ConnectTo(listening.EndPoint).Dispose();
        listening.AwaitLog(LogLevel.Information, "after 0 bytes");
        using (Stream half = IncomingPair.ConnectTo(listening.EndPoint))
        {
            half.Write("QE"u8);
        }

        listening.AwaitLog(LogLevel.Information, "after 2 bytes");
        Assert.Equal(0, listening.Waiting);
        using Stream source = IncomingPair.BeginTo(listening.EndPoint);
        listening.Accept().Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_first_connection_that_begins_a_stream_is_served(bool queues)
    {
        using Listening listening = Anywhere(TestOptions.Listener with { Queues = queues });
        using Stream idle = IncomingPair.ConnectTo(listening.EndPoint);
        using Stream slow = IncomingPair.ConnectTo(listening.EndPoint);
        using Stream source = IncomingPair.ConnectTo(listening.EndPoint);
        slow.Write("QEV"u8);
        source.Write(IncomingPair.Begun);
        using IncomingChannel served = listening.AcceptBegun();
        Assert.Equal(Port(source), PortOf(served));

        slow.Write("M"u8);
        if (queues)
        {
            Assert.Equal(0, listening.Waiting);
            served.Dispose();
            using IncomingChannel next = listening.AcceptBegun();
            Assert.Equal(Port(slow), PortOf(next));
        }
        else
        {
            AssertReset(slow);
        }

        AssertOpen(idle);
    }

    [Theory]
    [InlineData(new byte[] { 0x16, 0x03, 0x01, 0x02 }, "TLS")]
    [InlineData(new byte[] { (byte)'G' }, "47")]
    [InlineData(new byte[] { (byte)'Q', (byte)'E', (byte)'V', (byte)'N' }, "5145564E")]
    public void What_begins_with_something_else_is_reset_and_named(byte[] first, string named)
    {
        using Listening listening = Anywhere();
        using Stream stranger = IncomingPair.ConnectTo(listening.EndPoint);
        stranger.Write(first);
        AssertReset(stranger);
        listening.AwaitLog(LogLevel.Warning, named);
        Assert.Equal(0, listening.Waiting);
        using Stream source = IncomingPair.BeginTo(listening.EndPoint);
        listening.Accept().Dispose();
    }

    [Fact]
    public void A_silent_connection_is_closed_unless_its_host_is_migrating()
    {
        TimeSpan patience = TimeSpan.FromMilliseconds(500);
        using Listening listening = Anywhere(TestOptions.Listener with { FirstBytesTimeout = patience });
        using (Stream idle = IncomingPair.ConnectTo(listening.EndPoint))
        {
            AssertReset(idle);
            listening.AwaitLog(LogLevel.Information, "within 0.5 s");
        }

        // A source with postcopy-preempt makes such a connection.
        using Stream source = IncomingPair.BeginTo(listening.EndPoint);
        IncomingChannel running = listening.Accept();
        using Stream preempt = IncomingPair.ConnectTo(listening.EndPoint);
        using Stream stranger = ConnectFrom("127.0.0.2", listening.EndPoint);
        AssertReset(stranger);
        AssertOpen(preempt);
        running.Dispose();
        AssertReset(preempt);
    }

    [Fact]
    public void A_multifd_channel_that_speaks_before_the_main_one_fails_the_migration()
    {
        using Listening listening = Anywhere();
        using Stream main = IncomingPair.ConnectTo(listening.EndPoint);
        using Stream pages = IncomingPair.ConnectTo(listening.EndPoint);
        pages.Write(s_multifd);
        using IncomingChannel channel = listening.Accept();
        Assert.Equal(Port(main), PortOf(channel));
        string? refusal = null;
        channel.WhenRefused(reason => Volatile.Write(ref refusal, reason));
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref refusal) is not null, s_soon));
        Assert.Contains("multifd", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Multifd_channels_within_the_backlog_stay_open_until_the_migration_fails()
    {
        using Listening listening = Anywhere(TestOptions.Listener with { Backlog = 2 });
        using Stream source = IncomingPair.BeginTo(listening.EndPoint);
        IncomingChannel running = listening.Accept();
        Stream[] channels = new Stream[4];
        for (int i = 0; i < channels.Length; i++)
        {
            channels[i] = IncomingPair.ConnectTo(listening.EndPoint);
            if (i < 2)
            {
                channels[i].Write(s_multifd);
            }
        }

        AssertReset(channels[2]);
        AssertReset(channels[3]);
        AssertOpen(channels[0]);
        AssertOpen(channels[1]);
        running.Dispose();
        AssertReset(channels[0]);
        AssertReset(channels[1]);
        Assert.All(channels, channel => channel.Dispose());
    }

    [Fact]
    public void A_multifd_channel_without_a_migration_is_reset()
    {
        using Listening listening = Anywhere();
        using Stream alone = IncomingPair.ConnectTo(listening.EndPoint);
        alone.Write(s_multifd);
        AssertReset(alone);
        listening.AwaitLog(LogLevel.Warning, "multifd");
        Assert.Equal(0, listening.Waiting);
    }

    [Fact]
    public void The_source_that_finds_the_backlog_full_is_reset_at_once()
    {
        using Listening listening = Anywhere(TestOptions.Listener with { Backlog = 2 });
        using Stream running = IncomingPair.BeginTo(listening.EndPoint);
        using IncomingChannel channel = listening.Accept();
        using Stream first = IncomingPair.BeginTo(listening.EndPoint);
        using Stream second = IncomingPair.BeginTo(listening.EndPoint);
        using Stream third = IncomingPair.ConnectTo(listening.EndPoint);
        AssertReset(third);
        channel.Dispose();
        listening.Accept().Dispose();
        listening.Accept().Dispose();
    }

    [Fact]
    public void Silent_connections_make_room_for_a_source()
    {
        using Listening listening = Anywhere(TestOptions.Listener with { Backlog = 2 });
        using Stream first = IncomingPair.ConnectTo(listening.EndPoint);
        using Stream second = IncomingPair.ConnectTo(listening.EndPoint);
        using Stream source = IncomingPair.BeginTo(listening.EndPoint);
        using IncomingChannel channel = listening.Accept();
        Assert.Equal(Port(source), PortOf(channel));
        AssertReset(first);
        AssertOpen(second);
    }

    [Fact]
    public void Whoever_was_let_in_by_the_kernel_is_looked_at_before_the_sockets_close()
    {
        using ManualResetEventSlim isHeld = new();
        using ManualResetEventSlim goOn = new();
        ListenerOptions options = TestOptions.Listener with { Allow = [TestOptions.Peers("127.0.0.1"), TestOptions.Peers("127.0.0.2")] };
        using Listening listening = Anywhere(options, _ =>
        {
            isHeld.Set();
            goOn.Wait();
        });
        using Stream source = IncomingPair.BeginTo(listening.EndPoint);

        // The waiter's thread is held: who comes now stays in the kernel's backlog.
        Assert.True(isHeld.Wait(s_soon, TestContext.Current.CancellationToken));
        using Stream stranger = ConnectFrom("127.0.0.3", listening.EndPoint);
        using Stream waiting = ConnectFrom("127.0.0.2", listening.EndPoint);
        waiting.Write(IncomingPair.Begun);
        Thread stopping = new(listening.Listener.StopListening);
        stopping.Start();
        Assert.True(SpinWait.SpinUntil(() => stopping.ThreadState.HasFlag(ThreadState.WaitSleepJoin), s_soon));
        goOn.Set();
        stopping.Join();
        listening.Accept().Dispose();

        using IncomingChannel? taken = listening.Listener.TakeWaiting();

        Assert.NotNull(taken);
        Assert.StartsWith("127.0.0.2:", taken.Peer, StringComparison.Ordinal);
        AssertReset(stranger);
    }

    [Fact]
    public void The_last_of_close_and_open_counts()
    {
        using Listening listening = Anywhere(TestOptions.Listener with { Queues = false });
        for (int i = 0; i < 100; i++)
        {
            // A source that comes just when the sockets close is reset, and tries again.
            Assert.True(SpinWait.SpinUntil(() => CanConnect(listening.EndPoint, IncomingPair.Begun) && listening.AwaitsOne(), s_soon), $"round {i}");
            IncomingChannel running = listening.Accept();
            running.RamBegins();
            running.Dispose();
            listening.Listener.Resume();
        }
    }

    [Fact]
    public void A_listener_that_is_stopped_while_it_closes_or_opens_its_sockets_leaves_nothing()
    {
        for (int i = 0; i < 100; i++)
        {
            IPEndPoint address;
            using (Listening listening = Anywhere(TestOptions.Listener with { Queues = false }))
            {
                address = listening.EndPoint;
                using Stream source = IncomingPair.BeginTo(address);
                using IncomingChannel running = listening.Accept();
                running.RamBegins();
                Thread.SpinWait(100 * i);
                if (i % 2 == 0)
                {
                    listening.Listener.Resume();
                    Thread.SpinWait(50 * i);
                }

                listening.Listener.StopListening();
                Assert.False(CanConnect(address));
                Assert.DoesNotContain(listening.Logged, line => line.Level is LogLevel.Error);
            }
        }
    }

    [Fact]
    public void A_port_that_was_taken_meanwhile_is_tried_again_until_it_is_free()
    {
        using Listening listening = Anywhere(TestOptions.Listener with { Queues = false });
        IPEndPoint address = listening.EndPoint;
        using Stream source = IncomingPair.BeginTo(address);
        using (IncomingChannel running = listening.Accept())
        {
            running.RamBegins();
            Assert.True(SpinWait.SpinUntil(() => !CanConnect(address), s_soon));
        }

        source.Dispose();
        using (Socket other = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            other.Bind(address);
            other.Listen();
            listening.Listener.Resume();
            listening.AwaitLog(LogLevel.Error, "cannot listen again");
        }

        Assert.True(SpinWait.SpinUntil(() => CanConnect(address), s_soon), "it does not listen again");
    }

    private static Listening Anywhere(ListenerOptions? options = null, Action<IncomingChannel>? accepted = null) =>
        new(new TcpUri("127.0.0.1", 0), options, accepted);

    private static NetworkStream ConnectFrom(string own, EndPoint address)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(own), 0));
        socket.Connect(address);
        return new NetworkStream(socket, ownsSocket: true);
    }

    private static bool CanConnect(EndPoint address, params byte[] said)
    {
        try
        {
            using Stream connection = IncomingPair.ConnectTo(address);
            connection.Write(said);
            return true;
        }
        catch (Exception refused) when (refused is SocketException or IOException)
        {
            return false;
        }
    }

    private static string Port(Stream connection) => $":{((IPEndPoint)((NetworkStream)connection).Socket.LocalEndPoint!).Port}";

    private static string PortOf(IncomingChannel channel) => channel.Peer[channel.Peer.LastIndexOf(':')..];

    private static void AssertOpen(Stream connection) => Assert.False(((NetworkStream)connection).Socket.Poll(0, SelectMode.SelectRead));

    private static void AssertReset(Stream connection)
    {
        connection.ReadTimeout = (int)s_soon.TotalMilliseconds;
        IOException reset = Assert.Throws<IOException>(() => connection.ReadByte());
        Assert.Equal(SocketError.ConnectionReset, ((SocketException)reset.InnerException!).SocketErrorCode);
    }
}
