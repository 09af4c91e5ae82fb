using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport.Tests;

/// <summary>Who gets in by TCP and UNIX domain sockets, and when.</summary>
public sealed class SocketListenerTests : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(10);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    private string SocketPath => Path.Combine(_directory.FullName, "socket");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public void ASecondSourceWaitsUntilTheFirstOnesChannelIsClosed(string kind)
    {
        using Listening listening = new(kind == "tcp" ? new TcpUri("127.0.0.1", 0) : new UnixUri(SocketPath));
        EndPoint address = kind == "tcp" ? listening.EndPoint : new UnixDomainSocketEndPoint(SocketPath);
        using Stream first = IncomingPair.ConnectTo(address);
        IncomingChannel running = listening.Accept();
        using Stream second = IncomingPair.ConnectTo(address);
        second.Write([2]);
        first.Write([1]);
        Assert.Equal(1, ReadOne(running));
        Assert.Equal(0, listening.Waiting);

        running.Dispose();

        using IncomingChannel next = listening.Accept();
        Assert.Equal(2, ReadOne(next));
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public void Where_one_machine_is_taken_nobody_else_gets_in_until_the_migration_has_failed(string kind)
    {
        using Listening listening = new(kind == "tcp" ? new TcpUri("127.0.0.1", 0) : new UnixUri(SocketPath), new ListenerOptions { Queues = false });
        EndPoint address = kind == "tcp" ? listening.EndPoint : new UnixDomainSocketEndPoint(SocketPath);
        using Stream first = IncomingPair.ConnectTo(address);
        IncomingChannel running = listening.Accept();
        using (Stream second = IncomingPair.ConnectTo(address))
        {
            second.Write([(byte)'Q']);
            Assert.ThrowsAny<IOException>(() => second.ReadByte() is -1 ? throw new IOException("closed") : 0);
        }

        running.RamBegins();
        Assert.True(SpinWait.SpinUntil(() => IsRefused(address), s_soon), "it still listens");
        running.Dispose();
        Assert.True(IsRefused(address));

        listening.Listener.Resume();

        Assert.True(SpinWait.SpinUntil(() => !IsRefused(address), s_soon), "it does not listen again");
        listening.Accept().Dispose();
    }

    [Fact]
    public void Where_one_machine_is_taken_a_silent_connection_is_not_served_behind_it()
    {
        using Listening listening = new(new TcpUri("127.0.0.1", 0), new ListenerOptions { Queues = false });
        using Stream first = IncomingPair.ConnectTo(listening.EndPoint);
        IncomingChannel running = listening.Accept();
        using Stream second = IncomingPair.ConnectTo(listening.EndPoint);
        running.RamBegins();
        Assert.True(SpinWait.SpinUntil(() => IsRefused(listening.EndPoint), s_soon), "it still listens");

        running.Dispose();

        second.ReadTimeout = (int)s_soon.TotalMilliseconds;
        second.Write([(byte)'Q']);
        Assert.ThrowsAny<IOException>(() => second.ReadByte() is -1 ? throw new IOException("closed") : 0);
        Assert.Equal(0, listening.Waiting);
    }

    [Fact]
    public void A_source_that_waits_and_has_sent_something_is_there_to_be_served_when_nobody_listens_any_more()
    {
        using Listening listening = new(new TcpUri("127.0.0.1", 0));
        using Stream first = IncomingPair.ConnectTo(listening.EndPoint);
        using IncomingChannel running = listening.Accept();
        using Stream silent = IncomingPair.ConnectTo(listening.EndPoint);
        using (Stream second = IncomingPair.ConnectTo(listening.EndPoint))
        {
            second.Write([2]);
        }

        listening.Listener.StopListening();
        using IncomingChannel? waiting = listening.Listener.TakeWaiting();

        Assert.Equal(2, ReadOne(waiting!));
        Assert.Null(listening.Listener.TakeWaiting());
        Assert.ThrowsAny<IOException>(() => silent.ReadByte() is -1 ? throw new IOException("closed") : 0);
        Assert.True(IsRefused(listening.EndPoint));
    }

    [Fact]
    public void A_channel_of_multifd_from_another_host_is_no_matter_of_the_migration_that_runs()
    {
        using Listening listening = new(new TcpUri("127.0.0.1", 0));
        using Stream first = IncomingPair.ConnectTo(listening.EndPoint);
        using IncomingChannel running = listening.Accept();
        string? refusal = null;
        running.WhenRefused(reason => Volatile.Write(ref refusal, reason));
        using Socket other = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        other.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
        other.Connect(listening.EndPoint);
        other.Send([0x11, 0x22, 0x33, 0x44]);
        Assert.Throws<SocketException>(() => other.Receive(new byte[1]));
        Assert.Null(refusal);

        using Stream own = IncomingPair.ConnectTo(listening.EndPoint);
        own.Write([0x11, 0x22, 0x33, 0x44]);
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref refusal) is not null, s_soon));
        Assert.Contains("multifd", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void ASourceOutsideTheAllowedNetworksIsTurnedAwayAndTheNextOneGetsIn()
    {
        using Listening listening = new(new TcpUri("", 0), new ListenerOptions { Allow = [IPNetwork.Parse("127.0.0.2/32")] });
        int port = listening.EndPoint.Port;
        using (Stream stranger = IncomingPair.ConnectTo(new IPEndPoint(IPAddress.Loopback, port)))
        {
            Assert.Equal(0, stranger.Read(new byte[1]));
        }

        using Socket friend = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        friend.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
        friend.Connect(IPAddress.Loopback, port);
        using IncomingChannel channel = listening.Accept();
        Assert.Equal(friend.LocalEndPoint!.ToString(), channel.Peer);
    }

    [Theory]
    [InlineData("0.0.0.0", "127.0.0.1")]
    [InlineData("::", "::1")]
    public void EveryAddressOfOneFamilyCanBeNamed(string every, string one)
    {
        using Listening listening = new(new TcpUri(every, 0));
        Assert.Equal(every, listening.EndPoint.Address.ToString());
        using Stream source = IncomingPair.ConnectTo(new IPEndPoint(IPAddress.Parse(one), listening.EndPoint.Port));
        listening.Accept().Dispose();
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void AnEmptyHostListensOnBothFamilies(string address)
    {
        using Listening listening = new(new TcpUri("", 0));
        Assert.Equal(new TcpUri("", listening.EndPoint.Port), listening.Listener.Uri);
        using Stream source = IncomingPair.ConnectTo(new IPEndPoint(IPAddress.Parse(address), listening.EndPoint.Port));
        using IncomingChannel channel = listening.Accept();
        Assert.StartsWith(address.Contains(':', StringComparison.Ordinal) ? $"[{address}]:" : $"{address}:", channel.Peer, StringComparison.Ordinal);
    }

    [Fact]
    public void APortInUseIsRefusedAndIsFreeAgainAfterDispose()
    {
        TcpUri taken;
        using (Listening first = new(new TcpUri("127.0.0.1", 0)))
        {
            taken = (TcpUri)first.Listener.Uri;
            ConnectFailedException refused = Assert.Throws<ConnectFailedException>(() => new Listening(taken));
            Assert.Contains("another program listens", refused.Message, StringComparison.Ordinal);
            using Stream source = IncomingPair.ConnectTo(first.EndPoint);
            first.Accept().Dispose();
        }

        new Listening(taken).Dispose();
    }

    [Fact]
    public void ASocketsPathIsRemovedWithTheListenerUnlessItIsAnotherOnesByThen()
    {
        new Listening(new UnixUri(SocketPath)).Dispose();
        Assert.False(File.Exists(SocketPath));

        using (new Listening(new UnixUri(SocketPath)))
        {
            File.Delete(SocketPath);
            File.WriteAllText(SocketPath, "another's");
        }

        Assert.Equal("another's", File.ReadAllText(SocketPath));
    }

    [Fact]
    public void AnAbandonedSocketIsReplacedAndAnythingElseIsLeftAlone()
    {
        using (Socket abandoned = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // Its path is removed with it, unless it has another name by then.
            abandoned.Bind(new UnixDomainSocketEndPoint(SocketPath + ".first"));
            File.Move(SocketPath + ".first", SocketPath);
        }

        using (Listening replaced = new(new UnixUri(SocketPath)))
        {
            ConnectFailedException refused = Assert.Throws<ConnectFailedException>(() => new Listening(new UnixUri(SocketPath)));
            Assert.Contains("in use", refused.Message, StringComparison.Ordinal);
            Assert.Equal(0, replaced.Waiting);
            using Stream source = IncomingPair.ConnectTo(new UnixDomainSocketEndPoint(SocketPath));
            replaced.Accept().Dispose();
        }

        File.WriteAllText(SocketPath, "a file");
        ConnectFailedException noSocket = Assert.Throws<ConnectFailedException>(() => new Listening(new UnixUri(SocketPath)));
        Assert.Contains("is there already and is no socket", noSocket.Message, StringComparison.Ordinal);
        Assert.Equal("a file", File.ReadAllText(SocketPath));
    }

    private static bool IsRefused(EndPoint address)
    {
        try
        {
            IncomingPair.ConnectTo(address).Dispose();
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }

    private static byte ReadOne(IncomingChannel channel)
    {
        byte[] one = new byte[1];
        Assert.Equal(1, channel.Input.Read(one, s_soon));
        return one[0];
    }
}
