using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace RdmaMigration.Transport.Tests;

/// <summary>Who gets in by TCP and UNIX domain sockets, and when.</summary>
public sealed class SocketListenerTests : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(10);
    private static readonly byte[] s_multifd = [0x11, 0x22, 0x33, 0x44];

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    private string SocketPath => Path.Combine(_directory.FullName, "socket");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public void A_second_source_waits_until_the_first_ones_channel_is_closed(string kind)
    {
        using Listening listening = new(kind == "tcp" ? new TcpUri("127.0.0.1", 0) : new UnixUri(SocketPath));
        EndPoint address = kind == "tcp" ? listening.EndPoint : new UnixDomainSocketEndPoint(SocketPath);
        using Stream first = IncomingPair.BeginTo(address);
        IncomingChannel running = listening.AcceptBegun();
        using Stream second = IncomingPair.BeginTo(address);
        second.Write([2]);
        first.Write([1]);
        Assert.Equal(1, ReadOne(running));
        Assert.Equal(0, listening.Waiting);

        running.Dispose();

        using IncomingChannel next = listening.AcceptBegun();
        Assert.Equal(2, ReadOne(next));
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public void Where_one_machine_is_taken_nobody_else_gets_in_until_the_migration_has_failed(string kind)
    {
        using Listening listening = new(kind == "tcp" ? new TcpUri("127.0.0.1", 0) : new UnixUri(SocketPath), TestOptions.Listener with { Queues = false });
        EndPoint address = kind == "tcp" ? listening.EndPoint : new UnixDomainSocketEndPoint(SocketPath);
        using Stream first = IncomingPair.BeginTo(address);
        IncomingChannel running = listening.Accept();
        using (Stream second = IncomingPair.BeginTo(address))
        {
            AssertClosed(second);
        }

        running.RamBegins();
        Assert.True(SpinWait.SpinUntil(() => IsRefused(address), s_soon), "it still listens");
        running.Dispose();
        Assert.True(IsRefused(address));

        listening.Listener.Resume();

        Assert.True(SpinWait.SpinUntil(() => !IsRefused(address), s_soon), "it does not listen again");
        using Stream next = IncomingPair.BeginTo(address);
        listening.Accept().Dispose();
    }

    [Fact]
    public void Where_one_machine_is_taken_a_silent_connection_is_not_served_behind_it()
    {
        using Listening listening = new(new TcpUri("127.0.0.1", 0), TestOptions.Listener with { Queues = false });
        using Stream first = IncomingPair.BeginTo(listening.EndPoint);
        IncomingChannel running = listening.Accept();
        using Stream second = IncomingPair.ConnectTo(listening.EndPoint);
        running.RamBegins();
        Assert.True(SpinWait.SpinUntil(() => IsRefused(listening.EndPoint), s_soon), "it still listens");

        running.Dispose();

        second.Write(IncomingPair.Begun);
        AssertClosed(second);
        Assert.Equal(0, listening.Waiting);
    }

    [Fact]
    public void A_waiting_source_that_has_sent_bytes_is_served_after_the_listener_closed()
    {
        using Listening listening = new(new TcpUri("127.0.0.1", 0));
        using Stream first = IncomingPair.BeginTo(listening.EndPoint);
        using IncomingChannel running = listening.Accept();
        using Stream silent = IncomingPair.ConnectTo(listening.EndPoint);
        using (Stream second = IncomingPair.BeginTo(listening.EndPoint))
        {
            second.Write([2]);
        }

        listening.Listener.StopListening();
        using IncomingChannel? waiting = listening.Listener.TakeWaiting();

        Assert.Equal((byte)'Q', ReadOne(waiting!));
        Assert.Null(listening.Listener.TakeWaiting());
        AssertClosed(silent);
        Assert.True(IsRefused(listening.EndPoint));
    }

    [Fact]
    public void A_channel_of_multifd_from_another_host_is_no_matter_of_the_migration_that_runs()
    {
        using Listening listening = new(new TcpUri("127.0.0.1", 0));
        using Stream first = IncomingPair.BeginTo(listening.EndPoint);
        using IncomingChannel running = listening.Accept();
        string? refusal = null;
        running.WhenRefused(reason => Volatile.Write(ref refusal, reason));
        using Stream other = ConnectFrom("127.0.0.2", listening.EndPoint);
        other.Write(s_multifd);
        AssertClosed(other);
        Assert.Null(refusal);

        using Stream own = IncomingPair.ConnectTo(listening.EndPoint);
        own.Write(s_multifd);
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref refusal) is not null, s_soon));
        Assert.Contains("multifd", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_channel_of_multifd_after_the_begin_of_RAM_may_be_another_sources()
    {
        using Listening listening = new(new TcpUri("127.0.0.1", 0));
        using Stream first = IncomingPair.BeginTo(listening.EndPoint);
        using IncomingChannel running = listening.Accept();
        string? refusal = null;
        running.WhenRefused(reason => Volatile.Write(ref refusal, reason));
        running.RamBegins();
        using (Stream stranger = IncomingPair.ConnectTo(listening.EndPoint))
        {
            // The listener has taken note of the begin when it has looked at this one.
            stranger.Write("GET /"u8);
            AssertClosed(stranger);
        }

        using Stream silent = IncomingPair.ConnectTo(listening.EndPoint);
        using Stream channel = IncomingPair.ConnectTo(listening.EndPoint);
        channel.Write(s_multifd);
        AssertClosed(channel);
        Assert.Null(refusal);
    }

    [Fact]
    public void A_source_outside_the_allowed_networks_is_reset_and_the_next_one_gets_in()
    {
        using Listening listening = new(new TcpUri("", 0), TestOptions.Listener with { Allow = [TestOptions.Peers("127.0.0.2")] });
        IPEndPoint address = new(IPAddress.Loopback, listening.EndPoint.Port);
        using (Stream stranger = IncomingPair.ConnectTo(address))
        {
            IOException reset = Assert.Throws<IOException>(() => stranger.ReadByte());
            Assert.Equal(SocketError.ConnectionReset, ((SocketException)reset.InnerException!).SocketErrorCode);
        }

        using Stream friend = ConnectFrom("127.0.0.2", address);
        friend.Write(IncomingPair.Begun);
        using IncomingChannel channel = listening.Accept();
        Assert.StartsWith("127.0.0.2:", channel.Peer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("::1", "[::1]")]
    public void A_source_port_that_is_not_allowed_is_reset_and_one_that_is_gets_in(string host, string written)
    {
        IPAddress loopback = IPAddress.Parse(host);
        using Socket allowed = new(loopback.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        allowed.Bind(new IPEndPoint(loopback, 0));
        string rule = $"{written}:{((IPEndPoint)allowed.LocalEndPoint!).Port}";
        using Listening listening = new(new TcpUri("", 0), TestOptions.Listener with { Allow = [TestOptions.Peers(rule)] });
        IPEndPoint address = new(loopback, listening.EndPoint.Port);
        using (Stream stranger = IncomingPair.ConnectTo(address))
        {
            string from = ((NetworkStream)stranger).Socket.LocalEndPoint!.ToString()!;
            IOException reset = Assert.Throws<IOException>(() => stranger.ReadByte());
            Assert.Equal(SocketError.ConnectionReset, ((SocketException)reset.InnerException!).SocketErrorCode);
            listening.AwaitLog(LogLevel.Warning, from);
        }

        allowed.Connect(address);
        using NetworkStream friend = new(allowed);
        friend.Write(IncomingPair.Begun);
        using IncomingChannel channel = listening.Accept();
        Assert.Equal(rule, channel.Peer);
    }

    // Address options as QEMU 7.2 understands them.
    [Theory]
    [InlineData("tcp:0.0.0.0:0", "0.0.0.0", true, false)]
    [InlineData("tcp:[::]:0", "::", true, true)]
    [InlineData("tcp:[::]:0,ipv6=on", "::", false, true)]
    [InlineData("tcp:[::]:0,ipv4=off", "::", false, true)]
    [InlineData("tcp:[::]:0,ipv4,ipv6", "::", true, true)]
    [InlineData("tcp:[::1]:0", "::1", false, true)]
    [InlineData("tcp::0", "::", true, true)]
    [InlineData("tcp::0,ipv4=on,ipv6=on", "::", true, true)]
    [InlineData("tcp::0,ipv4", "0.0.0.0", true, false)]
    [InlineData("tcp::0,ipv6=off", "0.0.0.0", true, false)]
    [InlineData("tcp::0,ipv6", "::", false, true)]
    public void Wildcards_take_the_families_that_the_options_leave(string uri, string listensAt, bool takesIpv4, bool takesIpv6)
    {
        using Listening listening = new(MigrationUri.Parse(uri));
        Assert.Equal(listensAt, listening.EndPoint.Address.ToString());
        Assert.Equal(((TcpUri)MigrationUri.Parse(uri)) with { Port = listening.EndPoint.Port }, listening.Listener.Uri);
        foreach ((string address, bool isTaken) in (ReadOnlySpan<(string, bool)>)[("127.0.0.1", takesIpv4), ("::1", takesIpv6)])
        {
            IPEndPoint end = new(IPAddress.Parse(address), listening.EndPoint.Port);
            Assert.Equal(isTaken, !IsRefused(end));
            if (isTaken)
            {
                using Stream source = IncomingPair.BeginTo(end);
                using IncomingChannel channel = listening.Accept();
                Assert.StartsWith(new IPEndPoint(end.Address, 0).ToString()[..^1], channel.Peer, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("127.0.0.1", "::1")]
    [InlineData("::1", "127.0.0.1")]
    public void Every_address_of_a_name_is_listened_at(string one, string other)
    {
        TcpUri name = new("name", 0);
        IPAddress[] addresses = [IPAddress.Parse(one), IPAddress.Parse("192.0.2.1"), IPAddress.Parse(other)];
        IReadOnlyList<ListeningSocket> sockets = SocketBinding.Bind(name, [.. addresses.Select(address => new IPEndPoint(address, 0))], backlog: 5);
        Assert.Equal([addresses[0], addresses[2]], sockets.Select(socket => ((IPEndPoint)socket.Address).Address));
        IPEndPoint last = (IPEndPoint)sockets[1].Address;
        Assert.Equal(((IPEndPoint)sockets[0].Address).Port, last.Port);
        Assert.All(sockets, socket => Assert.False(IsRefused(socket.Address)));

        // Whoever connects there would get to the other program.
        ConnectFailedException taken = Assert.Throws<ConnectFailedException>(
            () => SocketBinding.Bind(name, [new IPEndPoint(IPAddress.Parse("127.0.0.9"), last.Port), last], backlog: 5));
        Assert.Contains(last.ToString(), taken.Message, StringComparison.Ordinal);
        Assert.True(IsRefused(new IPEndPoint(IPAddress.Parse("127.0.0.9"), last.Port)));

        Assert.All(sockets, socket => Assert.Null(socket.Close()));
        Assert.All(sockets, socket => Assert.True(IsRefused(socket.Address)));
        SocketBinding.Reopen(sockets, backlog: 5);
        Assert.All(sockets, socket => Assert.False(IsRefused(socket.Address)));
        Assert.All(sockets, socket => Assert.Null(socket.Close()));
    }

    [Fact]
    public void A_port_in_use_is_refused_and_is_free_again_after_dispose()
    {
        TcpUri taken;
        using (Listening first = new(new TcpUri("127.0.0.1", 0)))
        {
            taken = (TcpUri)first.Listener.Uri;
            ConnectFailedException refused = Assert.Throws<ConnectFailedException>(() => new Listening(taken));
            Assert.Contains("another program listens", refused.Message, StringComparison.Ordinal);
            using Stream source = IncomingPair.BeginTo(first.EndPoint);
            first.Accept().Dispose();
        }

        new Listening(taken).Dispose();
    }

    [Fact]
    public void A_sockets_path_is_removed_with_the_listener_unless_it_is_another_ones_by_then()
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
    public void A_socket_that_is_opened_again_keeps_its_owner_and_mode()
    {
        const UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;
        using Listening listening = new(new UnixUri(SocketPath), TestOptions.Listener with { Queues = false });
        File.SetUnixFileMode(SocketPath, mode);
        if (Environment.IsPrivilegedProcess)
        {
            using Process chown = Process.Start("chown", ["12345:23456", SocketPath]);
            chown.WaitForExit();
        }

        NodeAccess? before = NodeAccess.Of(SocketPath);
        Assert.Equal((uint)mode, before!.Value.Mode);
        using Stream first = IncomingPair.BeginTo(new UnixDomainSocketEndPoint(SocketPath));
        IncomingChannel running = listening.Accept();
        running.RamBegins();
        Assert.True(SpinWait.SpinUntil(() => !File.Exists(SocketPath), s_soon));
        running.Dispose();

        listening.Listener.Resume();

        Assert.True(SpinWait.SpinUntil(() => !IsRefused(new UnixDomainSocketEndPoint(SocketPath)), s_soon));
        Assert.Equal(before, NodeAccess.Of(SocketPath));
    }

    [Fact]
    public void An_abandoned_socket_is_replaced_and_anything_else_is_left_alone()
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
            Assert.Contains("another program listens", refused.Message, StringComparison.Ordinal);
            Assert.Equal(0, replaced.Waiting);
            using Stream source = IncomingPair.BeginTo(new UnixDomainSocketEndPoint(SocketPath));
            replaced.Accept().Dispose();
        }

        File.WriteAllText(SocketPath, "a file");
        ConnectFailedException noSocket = Assert.Throws<ConnectFailedException>(() => new Listening(new UnixUri(SocketPath)));
        Assert.Contains("exists and is not a socket", noSocket.Message, StringComparison.Ordinal);
        Assert.Equal("a file", File.ReadAllText(SocketPath));
    }

    private static NetworkStream ConnectFrom(string own, EndPoint address)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(own), 0));
        socket.Connect(address);
        return new NetworkStream(socket, ownsSocket: true);
    }

    /// <summary>The listener closes a connection.</summary>
    private static void AssertClosed(Stream connection)
    {
        connection.ReadTimeout = (int)s_soon.TotalMilliseconds;
        try
        {
            Assert.Equal(-1, connection.ReadByte());
        }
        catch (IOException reset) when (reset.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            // So it was.
        }
    }

    /// <summary>The listener has not closed a connection.</summary>
    private static void AssertOpen(Stream connection) => Assert.False(((NetworkStream)connection).Socket.Poll(0, SelectMode.SelectRead));

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
