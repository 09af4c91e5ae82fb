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
            var refused = Assert.Throws<ConnectFailedException>(() => new Listening(taken));
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
            var refused = Assert.Throws<ConnectFailedException>(() => new Listening(new UnixUri(SocketPath)));
            Assert.Contains("in use", refused.Message, StringComparison.Ordinal);
            Assert.Equal(0, replaced.Waiting);
            using Stream source = IncomingPair.ConnectTo(new UnixDomainSocketEndPoint(SocketPath));
            replaced.Accept().Dispose();
        }

        File.WriteAllText(SocketPath, "a file");
        var noSocket = Assert.Throws<ConnectFailedException>(() => new Listening(new UnixUri(SocketPath)));
        Assert.Contains("is there already and is no socket", noSocket.Message, StringComparison.Ordinal);
        Assert.Equal("a file", File.ReadAllText(SocketPath));
    }

    private static byte ReadOne(IncomingChannel channel)
    {
        byte[] one = new byte[1];
        Assert.Equal(1, channel.Read(one, s_soon));
        return one[0];
    }
}
