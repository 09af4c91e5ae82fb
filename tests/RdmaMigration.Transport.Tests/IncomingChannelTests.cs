using System.Security.Cryptography;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport.Tests;

/// <summary>Incoming channels over real sockets, pipes, files and commands.</summary>
public sealed class IncomingChannelTests : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(10);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public static TheoryData<string> Live => OutgoingPair.Live;

    public static TheoryData<string> Sockets => OutgoingPair.Sockets;

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Live))]
    public async Task Every_byte_arrives_in_order_and_the_end_is_a_disconnect(string kind)
    {
        using IncomingPair pair = new(kind);
        byte[] sent = RandomNumberGenerator.GetBytes(8 << 20);
        Task sending = Task.Run(() =>
        {
            pair.Source.Write(sent);
            pair.Source.Dispose();
        });

        (byte[] received, ConnectionLostException lost) = ReadToEnd(pair.Channel);

        await sending;
        Assert.Equal(sent, received);
        Assert.Equal(ConnectionLoss.Disconnected, lost.Loss);
        Assert.True(pair.Channel.Ram is null);
    }

    [Theory]
    [MemberData(nameof(Live))]
    public void A_blocked_reader_returns_within_100_milliseconds_of_a_shutdown(string kind) => Soon.Assert(() =>
    {
        using IncomingPair pair = new(kind);
        pair.Source.Write([1]);
        byte[] buffer = new byte[16];
        return Soon.ShutDownReader(() => pair.Channel.Input.Read(buffer, Timeout.InfiniteTimeSpan), pair.Channel.Shutdown);
    });

    [Theory]
    [MemberData(nameof(Sockets))]
    public void A_source_that_is_watched_is_lost_when_it_closes_and_not_before(string kind)
    {
        using IncomingPair pair = new(kind);
        using (pair.Channel.WatchSource(new byte[] { 42 }))
        {
            pair.CloseDirection();
            byte[] probes = new byte[3];
            pair.Source.ReadExactly(probes);
            Assert.Equal([42, 42, 42], probes);
            Assert.Null(pair.Channel.Lost);

            pair.Source.Dispose();

            Assert.True(SpinWait.SpinUntil(() => pair.Channel.Lost is not null, s_soon));
        }

        Assert.Equal(ConnectionLoss.Disconnected, pair.Channel.Lost!.Loss);
    }

    [Theory]
    [MemberData(nameof(Sockets))]
    public void A_source_whose_direction_is_open_is_sent_nothing_by_the_watch(string kind)
    {
        using IncomingPair pair = new(kind);
        pair.Channel.WatchSource(new byte[] { 42 })!.Dispose();
        pair.CloseDirection();
        pair.Channel.WaitForOutput(TimeSpan.Zero)!.Write([1], s_soon);
        pair.Channel.Dispose();
        byte[] all = new byte[2];
        Assert.Equal(1, pair.Source.ReadAtLeast(all, 2, throwOnEndOfStream: false));
        Assert.Equal(1, all[0]);
    }

    [Theory]
    [MemberData(nameof(Sockets))]
    public void A_blocked_return_path_writer_returns_within_100_milliseconds_of_a_shutdown(string kind) => Soon.Assert(() =>
    {
        using IncomingPair pair = new(kind);
        ChannelOutput back = pair.Channel.WaitForOutput(TimeSpan.Zero)!;
        FailingCall writer = new(() => back.Write(new byte[64 << 20], Timeout.InfiniteTimeSpan));
        pair.Source.ReadExactly(new byte[1 << 16]);
        return Soon.ShutDown(writer, pair.Channel.Shutdown);
    });

    [Theory]
    [MemberData(nameof(Sockets))]
    public void Return_path_reaches_the_source_and_a_source_that_reads_nothing_fails(string kind)
    {
        using IncomingPair pair = new(kind);
        ChannelOutput back = pair.Channel.WaitForOutput(TimeSpan.Zero)!;
        back.Write("pong"u8, s_soon);
        byte[] said = new byte[4];
        pair.Source.ReadExactly(said);
        Assert.Equal("pong"u8, said);
        TransportException stuck = Assert.Throws<TransportException>(() => back.Write(new byte[64 << 20], TimeSpan.FromMilliseconds(50)));
        Assert.Equal(FailureReason.Timeout, stuck.Reason);
    }

    [Theory]
    [InlineData("exec")]
    [InlineData("fd-pipe")]
    public void One_direction_has_no_return_path(string kind)
    {
        using IncomingPair pair = new(kind);
        Assert.Null(pair.Channel.WaitForOutput(s_soon));
        Assert.False(pair.Channel.IsConnected);
    }

    [Theory]
    [MemberData(nameof(Live))]
    public void A_silent_source_is_not_an_end(string kind)
    {
        using IncomingPair pair = new(kind);
        byte[] buffer = new byte[16];
        Assert.Equal(0, pair.Channel.Input.Read(buffer, TimeSpan.FromMilliseconds(1)));
        pair.Source.Write([1, 2]);
        Assert.Equal(2, pair.Channel.Input.Read(buffer, s_soon));
    }

    [Fact]
    public void A_file_is_read_from_its_offset()
    {
        string path = NewPath("file");
        File.WriteAllBytes(path, "0123456789"u8);
        using Listening listening = new(new FileUri(path, 4));
        Assert.True(listening.Listener.IsSingle);
        using IncomingChannel channel = listening.Accept();
        Assert.Equal("456789"u8, ReadToEnd(channel).Received);
    }

    [Fact]
    public void A_command_that_fails_before_the_machine_is_complete_says_its_exit_code()
    {
        using Listening listening = new(new ExecUri("printf abc; exit 3"));
        using IncomingChannel channel = listening.Accept();
        (byte[] received, ConnectionLostException lost) = ReadToEnd(channel);
        Assert.Equal("abc"u8, received);
        Assert.Contains("exit code 3", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_that_fails_after_the_last_byte_is_not_trusted()
    {
        using Listening listening = new(new ExecUri("printf abc; exit 4"));
        using IncomingChannel channel = listening.Accept();
        channel.Input.Read(new byte[3], s_soon);
        ConnectionLostException failed = Assert.Throws<ConnectionLostException>(channel.EndOfStream);
        Assert.Equal(ConnectionLoss.PeerError, failed.Loss);
        Assert.Contains("exit code 4", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_that_goes_on_after_the_last_byte_is_let_be_and_killed_by_dispose()
    {
        using Listening listening = new(new ExecUri("echo $$; exec sleep 1000"));
        string process;
        using (IncomingChannel channel = listening.Accept())
        {
            byte[] said = new byte[16];
            process = "/proc/" + System.Text.Encoding.ASCII.GetString(said, 0, channel.Input.Read(said, s_soon)).Trim();
            channel.EndOfStream();
            Assert.True(Directory.Exists(process));
        }

        Assert.True(SpinWait.SpinUntil(() => !Directory.Exists(process), s_soon), "the command runs on");
    }

    [Theory]
    [InlineData("file:/nonexistent", "cannot open")]
    [InlineData("fd:987", "no descriptor 987")]
    [InlineData("unix:/nonexistent/socket", "no directory")]
    [InlineData("tcp:192.0.2.1:4444", "not an address of this host")]
    public void A_file_that_cannot_be_opened_says_what_to_do(string uri, string expected) =>
        Assert.Contains(expected, Assert.Throws<ConnectFailedException>(() => new Listening(MigrationUri.Parse(uri))).Message, StringComparison.Ordinal);

    private static (byte[] Received, ConnectionLostException Lost) ReadToEnd(IncomingChannel channel)
    {
        using MemoryStream all = new();
        byte[] buffer = new byte[100_000];
        while (true)
        {
            try
            {
                all.Write(buffer, 0, channel.Input.Read(buffer, Timeout.InfiniteTimeSpan));
            }
            catch (ConnectionLostException lost)
            {
                return (all.ToArray(), lost);
            }
        }
    }

    private string NewPath(string name) => Path.Combine(_directory.FullName, name);
}
