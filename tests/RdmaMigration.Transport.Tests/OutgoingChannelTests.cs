using System.Diagnostics;
using System.Security.Cryptography;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport.Tests;

/// <summary>Outgoing channels over real sockets, pipes, files and commands.</summary>
public sealed class OutgoingChannelTests
{
    private const int Megabyte = 1 << 20;

    public static TheoryData<string> Live => OutgoingPair.Live;

    public static TheoryData<string> Sockets => OutgoingPair.Sockets;

    [Theory]
    [MemberData(nameof(Live))]
    public async Task Every_byte_of_many_segments_arrives_in_order_and_then_the_end(string kind)
    {
        using OutgoingPair pair = new(kind);
        byte[] sent = RandomNumberGenerator.GetBytes(24 * Megabyte);
        Task<byte[]> received = Task.Run(() => ReadToEnd(pair.Destination));

        Gather(pair.Channel, sent);
        pair.Channel.Output.Finish();

        Assert.Equal(sent, await received);
        Assert.Equal(sent.Length, pair.Channel.Output.SentBytes);
    }

    [Theory]
    [MemberData(nameof(Live))]
    public void A_blocked_writer_returns_within_100_milliseconds_of_a_shutdown(string kind) => Soon.Assert(() =>
    {
        using OutgoingPair pair = new(kind);
        FailingCall writer = new(() => pair.Channel.Output.Write(new byte[64 * Megabyte]));
        Soon.AwaitStandstill(() => pair.Channel.Output.SentBytes);
        return Soon.ShutDown(writer, pair.Channel.Shutdown);
    });

    [Theory]
    [MemberData(nameof(Sockets))]
    public void A_blocked_return_path_reader_returns_within_100_milliseconds_of_a_shutdown(string kind) => Soon.Assert(() =>
    {
        using OutgoingPair pair = new(kind);
        byte[] buffer = new byte[16];
        pair.Destination.Write([1, 2, 3]);
        return Soon.ShutDownReader(() => pair.Channel.Input!.Read(buffer, Timeout.InfiniteTimeSpan), pair.Channel.Shutdown);
    });

    [Theory]
    [MemberData(nameof(Sockets))]
    public void A_return_path_reader_returns_within_100_milliseconds_of_a_shutdown(string kind) => Soon.Assert(() =>
    {
        using OutgoingPair pair = new(kind);
        byte[] buffer = new byte[16];
        FailingCall destination = new(() =>
        {
            while (true)
            {
                pair.Destination.Write(new byte[4096]);
            }
        });
        TimeSpan after = Soon.ShutDownReader(() => pair.Channel.Input!.Read(buffer, Timeout.InfiniteTimeSpan), pair.Channel.Shutdown);
        pair.Channel.Dispose();
        Assert.IsType<IOException>(destination.Ended(0).Failure);
        return after;
    });

    // It closes with bytes unread, which resets the connection.
    [Theory]
    [MemberData(nameof(Sockets))]
    public void The_destinations_last_message_is_read_after_its_close_ended_the_writer(string kind)
    {
        using OutgoingPair pair = new(kind);
        using MemoryStream said = new();
        FailingCall reader = new(() =>
        {
            byte[] buffer = new byte[16];
            while (true)
            {
                said.Write(buffer, 0, pair.Channel.Input!.Read(buffer, Timeout.InfiniteTimeSpan));
            }
        });
        FailingCall writer = new(() => pair.Channel.Output.Write(new byte[64 * Megabyte]));
        Soon.AwaitStandstill(() => pair.Channel.Output.SentBytes);
        pair.Destination.Write("failed"u8);
        pair.Destination.Dispose();
        Soon.AssertLost(writer.Ended(0), ConnectionLoss.Disconnected, "disconnected");
        reader.Ended(0);
        Assert.Equal("failed"u8, said.ToArray());
    }

    [Theory]
    [InlineData("tcp4")]
    [InlineData("tcp6")]
    [InlineData("unix")]
    [InlineData("fd-socket")]
    [InlineData("fd-pipe")]
    public void A_destination_that_closes_ends_a_blocked_writer(string kind)
    {
        using OutgoingPair pair = new(kind);
        FailingCall writer = new(() => pair.Channel.Output.Write(new byte[64 * Megabyte]));
        Soon.AwaitStandstill(() => pair.Channel.Output.SentBytes);
        pair.Destination.Dispose();
        Soon.AssertLost(writer.Ended(0), ConnectionLoss.Disconnected, "disconnected");
        Assert.Throws<ConnectionLostException>(() => pair.Channel.Output.Write([1]));
    }

    [Theory]
    [MemberData(nameof(Sockets))]
    public async Task Return_path_outlives_Finish_and_ends_with_the_destinations_close(string kind)
    {
        using OutgoingPair pair = new(kind);
        pair.Channel.Output.Write("all"u8);
        pair.Channel.Output.Finish();
        Assert.Equal("all"u8, ReadToEnd(pair.Destination));

        pair.Destination.Write("ok"u8);
        byte[] buffer = new byte[16];
        Assert.Equal(2, pair.Channel.Input!.Read(buffer, Timeout.InfiniteTimeSpan));
        Assert.Equal("ok"u8, buffer.AsSpan(0, 2));

        Task<int> end = Task.Run(() => pair.Channel.Input.Read(buffer, Timeout.InfiniteTimeSpan));
        pair.Destination.Dispose();
        Assert.Equal(ConnectionLoss.Disconnected, (await Assert.ThrowsAsync<ConnectionLostException>(() => end)).Loss);
    }

    [Fact]
    public void A_pipe_has_no_return_path_and_no_proof_of_its_end()
    {
        using OutgoingPair pair = new("fd-pipe");
        Assert.Null(pair.Channel.Input);
        Assert.False(pair.Channel.Output.Finish());
    }

    [Fact]
    public void The_exit_code_of_a_command_decides_Finish()
    {
        using (OutgoingChannel good = OutgoingPair.Open(new ExecUri("cat > /dev/null")))
        {
            good.Output.Write(new byte[Megabyte]);
            Assert.True(good.Output.Finish());
        }

        using OutgoingChannel bad = OutgoingPair.Open(new ExecUri("cat > /dev/null; exit 7"));
        bad.Output.Write(new byte[Megabyte]);
        Assert.Contains("exit code 7", Assert.Throws<ConnectionLostException>(() => bad.Output.Finish()).Message, StringComparison.Ordinal);
        Assert.Equal(ConnectionLoss.PeerError, bad.Lost!.Loss);
    }

    [Fact]
    public void A_write_to_a_command_that_has_exited_says_its_exit_code()
    {
        using OutgoingChannel channel = OutgoingPair.Open(new ExecUri("exit 127"));
        ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => channel.Output.Write(new byte[64 * Megabyte]));
        Assert.Contains("exit code 127", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Shutdown_ends_the_wait_for_a_command_that_does_not_exit_and_dispose_kills_it() => Soon.Assert(() =>
    {
        string note = Path.GetTempFileName();
        TimeSpan after;
        using (OutgoingChannel channel = OutgoingPair.Open(new ExecUri($"cat > /dev/null; echo $$ > '{note}'; sleep 1000")))
        {
            FailingCall finish = new(() => channel.Output.Finish());
            Assert.True(SpinWait.SpinUntil(() => File.ReadAllText(note).EndsWith('\n'), TimeSpan.FromSeconds(20)));
            after = Soon.ShutDown(finish, channel.Shutdown);
        }

        string process = "/proc/" + File.ReadAllText(note).Trim();
        Assert.True(SpinWait.SpinUntil(() => !Directory.Exists(process), TimeSpan.FromSeconds(20)), "the command runs on");
        File.Delete(note);
        return after;
    });

    [Fact]
    public void A_limit_holds_the_rate()
    {
        const int rate = 8 * Megabyte;
        const int bytes = 4 * Megabyte;
        using OutgoingPair pair = new("unix");
        pair.Channel.Output.Limit = new BandwidthLimit(rate);
        Task<byte[]> received = Task.Run(() => ReadToEnd(pair.Destination));
        long start = Stopwatch.GetTimestamp();
        Gather(pair.Channel, new byte[bytes]);
        TimeSpan took = Stopwatch.GetElapsedTime(start);

        // A tenth of a second may be caught up, and the last portion is paid for afterwards.
        double least = ((double)(bytes - pair.Channel.Output.Limit.Portion(int.MaxValue)) / rate) - 0.1;
        Assert.InRange(took.TotalSeconds, least, 10);
    }

    [Fact]
    public void A_writer_that_pauses_for_a_limit_returns_within_100_milliseconds_of_a_shutdown() => Soon.Assert(() =>
    {
        using OutgoingPair pair = new("unix");
        pair.Channel.Output.Limit = new BandwidthLimit(1024);
        FailingCall writer = new(() => pair.Channel.Output.Write(new byte[Megabyte]));
        Soon.AwaitStandstill(() => pair.Channel.Output.SentBytes);
        return Soon.ShutDown(writer, pair.Channel.Shutdown);
    });

    [Fact]
    public void A_write_allocates_nothing()
    {
        // It takes nothing at first: what waiting runs for the first time, it has run before anything counts.
        using OutgoingChannel channel = OutgoingPair.Open(new ExecUri("sleep 0.3; cat > /dev/null"));
        channel.Output.Limit = new BandwidthLimit(long.MaxValue / 4);
        byte[] bytes = new byte[Megabyte];
        Gather(channel, bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 16; i++)
        {
            channel.Output.Write(bytes);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static unsafe void Gather(OutgoingChannel channel, byte[] bytes)
    {
        // Odd lengths, so that writes end amid segments.
        Span<IoVector> segments = stackalloc IoVector[1024];
        fixed (byte* first = bytes)
        {
            int at = 0;
            while (at < bytes.Length)
            {
                int count = 0;
                for (; count < segments.Length && at < bytes.Length; count++)
                {
                    int length = Math.Min(count % 3 == 0 ? 9 : 4096 + (count * 7), bytes.Length - at);
                    segments[count] = new IoVector { Address = first + at, Length = (nuint)length };
                    at += length;
                }

                channel.Output.WriteGather(segments[..count]);
            }
        }
    }

    private static byte[] ReadToEnd(Stream stream)
    {
        using MemoryStream all = new();
        stream.CopyTo(all);
        return all.ToArray();
    }
}
