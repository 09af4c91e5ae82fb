using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport.Tests;

/// <summary>What a channel opens, and what it says when it cannot.</summary>
public sealed class OutgoingTargetTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_missing_file_is_created_for_its_owner_alone()
    {
        string path = NewPath("new");
        Send(new FileUri(path), "stream"u8);
        Assert.Equal("stream"u8, File.ReadAllBytes(path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    [Fact]
    public void An_existing_file_keeps_only_the_bytes_before_the_offset()
    {
        string path = NewPath("old");
        File.WriteAllBytes(path, "0123456789abcdef"u8);
        Send(new FileUri(path, 10), "new"u8);
        Assert.Equal("0123456789new"u8, File.ReadAllBytes(path));
        Send(new FileUri(path), "x"u8);
        Assert.Equal("x"u8, File.ReadAllBytes(path));
        Send(new FileUri(path, 4), "y"u8);
        Assert.Equal("x\0\0\0y"u8, File.ReadAllBytes(path));
    }

    [Fact]
    public void A_file_confirms_by_finish()
    {
        using OutgoingChannel channel = OutgoingPair.Open(new FileUri(NewPath("file")));
        channel.Output.Write([1]);
        channel.Output.Finish();
        Assert.True(channel.Output.FinishProves);
        Assert.Null(channel.Input);
    }

    [Fact]
    public void A_FIFO_and_a_device_take_everything_and_confirm_nothing()
    {
        string fifo = NewPath("fifo");
        OutgoingPair.MakeFifo(fifo);
        using FileStream read = new(fifo, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        foreach (string path in (string[])[fifo, "/dev/null"])
        {
            using OutgoingChannel channel = OutgoingPair.Open(new FileUri(path));
            channel.Output.Write([1, 2, 3]);
            channel.Output.Finish();
            Assert.False(channel.Output.FinishProves);
        }

        byte[] taken = new byte[4];
        Assert.Equal(3, read.Read(taken));
        Assert.Equal([1, 2, 3, 0], taken);
    }

    [Fact]
    public void A_full_disk_is_an_error()
    {
        using OutgoingChannel channel = OutgoingPair.Open(new FileUri("/dev/full"));
        ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => channel.Output.Write([1]));
        Assert.Contains("No space left", lost.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tcp::4444", "no host")]
    [InlineData("tcp:127.0.0.1:0", "no port")]
    [InlineData("unix:/", "is not a socket")]
    [InlineData("unix:/dev/null", "is not a socket; name the destination's socket, or write file:/dev/null")]
    [InlineData("tcp:no-such-host.invalid:4444", "does not resolve")]
    [InlineData("unix:/nonexistent/socket", "no socket '/nonexistent/socket'")]
    [InlineData("file:/nonexistent/file", "directory")]
    [InlineData("file:/", "Is a directory")]
    [InlineData("fd:987", "no descriptor 987")]
    public void A_file_that_cannot_be_opened_says_what_to_do(string uri, string expected) => AssertRefused(MigrationUri.Parse(uri), expected);

    [Fact]
    public void A_port_without_listener_says_to_start_the_destination_first()
    {
        using Socket bound = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bound.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        AssertRefused(new TcpUri("127.0.0.1", ((IPEndPoint)bound.LocalEndPoint!).Port), "start the destination first");
    }

    // A full backlog drops what comes, as a firewall does.
    [Fact]
    public void Each_address_of_a_host_that_does_not_answer_gets_the_whole_time()
    {
        using Socket full = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        IPEndPoint address = (IPEndPoint)full.LocalEndPoint!;
        TcpUri uri = new("localhost", address.Port);
        DescriptorChannelOptions options = TestOptions.Descriptors with { ConnectTimeout = TimeSpan.FromMilliseconds(100) };
        using PolledDescriptor inBacklog = SocketConnector.Connect(uri, [address], options, CancellationToken.None);

        long start = Stopwatch.GetTimestamp();
        ConnectFailedException refused = Assert.Throws<ConnectFailedException>(
            () => SocketConnector.Connect(uri, [address, address], options, CancellationToken.None));

        Assert.True(Stopwatch.GetElapsedTime(start) >= 2 * options.ConnectTimeout, refused.Message);
        Assert.Equal(FailureReason.Unreachable, refused.Reason);
        Assert.Contains(uri.ToString(), refused.Message, StringComparison.Ordinal);
        Assert.Equal(2, Regex.Count(refused.Message, $@"{Regex.Escape(address.ToString())}\b.*?\b0\.1 s\b"));
    }

    [Fact]
    public void A_unix_socket_that_nobody_listens_at_any_more_says_so()
    {
        string path = NewPath("stale");
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        AssertRefused(new UnixUri(path), "no program listens");
    }

    [Fact]
    public void A_unix_socket_of_datagrams_is_named_as_of_another_kind()
    {
        string path = NewPath("datagrams");
        using Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        AssertRefused(new UnixUri(path), "is not a stream socket");
    }

    [Theory]
    [InlineData("rdma::4444", "no host")]
    [InlineData("rdma:10.0.0.7:0", "no port")]
    public void An_RDMA_destination_needs_a_host_and_a_port(string uri, string expected)
    {
        using CompletionWaiter waiter = new();
        Assert.Contains(
            expected,
            Assert.Throws<ConnectFailedException>(
                () => RdmaOutgoingChannel.Connect(waiter, RdmaUri.Parse(uri), TestOptions.Rdma, CancellationToken.None)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_descriptor_of_the_other_direction_is_refused()
    {
        (int ours, int theirs) = OutgoingPair.NewPipe();
        AssertRefused(new DescriptorUri(theirs), "not open for writing");
        OutgoingPair.Open(new DescriptorUri(ours)).Dispose();
        Assert.Equal(0, Tmds.Linux.LibC.close(theirs));
    }

    [Fact]
    public async Task A_cancel_ends_the_wait_for_a_connection()
    {
        string path = NewPath("full");
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(0);
        using OutgoingChannel inBacklog = OutgoingPair.Open(new UnixUri(path));
        using CancellationTokenSource cancel = new();
        Task connecting = Task.Run(() => OutgoingPair.Open(new UnixUri(path), cancel.Token).Dispose());
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);

        ConnectFailedException refused = Assert.Throws<ConnectFailedException>(() => DescriptorOutgoingChannel.Open(
            new UnixUri(path), TestOptions.Descriptors with { ConnectTimeout = TimeSpan.FromMilliseconds(50) }, CancellationToken.None));
        Assert.Contains("backlog", refused.Message, StringComparison.Ordinal);
    }

    private static void AssertRefused(MigrationUri uri, string expected) =>
        Assert.Contains(expected, Assert.Throws<ConnectFailedException>(() => OutgoingPair.Open(uri)).Message, StringComparison.Ordinal);

    private static void Send(MigrationUri uri, ReadOnlySpan<byte> bytes)
    {
        using OutgoingChannel channel = OutgoingPair.Open(uri);
        channel.Output.Write(bytes);
        channel.Output.Finish();
    }

    private string NewPath(string name) => Path.Combine(_directory.FullName, name);
}
