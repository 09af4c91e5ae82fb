using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Transport.Tests;

/// <summary>The channel over real verbs.</summary>
[Trait("needs", "rdma")]
public sealed class RdmaIncomingChannelTests
{
    [Fact]
    public async Task Bytes_that_had_arrived_are_handed_out_before_the_disconnect()
    {
        for (int i = 0; i < 20; i++)
        {
            using ListeningDestination destination = new();
            using RdmaSource source = destination.Connect();
            RdmaIncomingChannel channel = destination.Accept();
            byte[] buffer = new byte[16];
            Task<int> reader = Task.Run(() => channel.Input.Read(buffer, Timeout.InfiniteTimeSpan));
            source.Send((uint)ControlMessageType.QemuFile, [1, 2, 3]);
            source.Disconnect();
            Assert.Equal(3, await reader);
            ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => channel.Input.Read(buffer, Timeout.InfiniteTimeSpan));
            Assert.Equal(ConnectionLoss.Disconnected, lost.Loss);
        }
    }

    [Fact]
    public async Task A_parked_reader_returns_within_100_milliseconds_of_a_shutdown()
    {
        List<TimeSpan> took = [];
        for (int i = 0; i < 5; i++)
        {
            using ListeningDestination destination = new();
            using RdmaSource source = destination.Connect();
            RdmaIncomingChannel channel = destination.Accept();
            long shutAt = 0;
            Task<TimeSpan> reader = Task.Run(() =>
            {
                ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => channel.Input.Read(new byte[1], Timeout.InfiniteTimeSpan));
                TimeSpan elapsed = Stopwatch.GetElapsedTime(Volatile.Read(ref shutAt));
                Assert.Equal((ConnectionLoss.Shutdown, "yank"), (lost.Loss, lost.Message));
                return elapsed;
            });
            source.Receive(2);
            Volatile.Write(ref shutAt, Stopwatch.GetTimestamp());
            channel.Shutdown("yank");
            took.Add(await reader);
        }

        // The median: under emulation the first exception alone takes some 100 ms to compile.
        took.Sort();
        Assert.InRange(took[took.Count / 2], TimeSpan.Zero, TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public void A_blocked_return_path_writer_returns_within_100_milliseconds_of_a_shutdown() => Soon.Assert(() =>
    {
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel source = destination.ConnectOurs(TestOptions.Rdma with { ReturnPath = true });
        using RdmaIncomingChannel channel = destination.Accept();
        ChannelOutput back = channel.WaitForOutput(TimeSpan.FromSeconds(20))!;

        // A source that reads nothing is not ready for the second message.
        back.Write([1], TimeSpan.FromSeconds(20));
        FailingCall writer = new(() => back.Write([2], Timeout.InfiniteTimeSpan));
        Thread.Sleep(50);
        return Soon.ShutDown(writer, channel.Shutdown);
    });

    [Fact]
    public void The_first_reason_stays()
    {
        using ListeningDestination destination = new();
        using RdmaSource source = destination.Connect();
        RdmaIncomingChannel channel = destination.Accept();
        channel.Shutdown("the first");
        channel.Shutdown("the second");
        Assert.Equal("the first", channel.Lost!.Message);
    }

    [Fact]
    public void An_idle_peer_that_lives_survives_many_keepalive_probes()
    {
        using ListeningDestination destination = new(TestOptions.Listener with { KeepAliveInterval = TimeSpan.FromMilliseconds(20) });
        using RdmaSource source = destination.Connect();
        RdmaIncomingChannel channel = destination.Accept();
        using ManualResetEventSlim never = new();
        never.Wait(TimeSpan.FromSeconds(1));
        Assert.Null(channel.Lost);
        source.SendRaw(ControlMessages.QemuFile(7));
        Assert.Equal(1, channel.Input.Read(new byte[1], Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public void A_lost_main_connection_loses_the_return_path_too()
    {
        using ListeningDestination destination = new();
        using RdmaSource main = destination.Connect();
        using RdmaSource back = destination.Connect();
        RdmaIncomingChannel channel = destination.Accept();
        ChannelOutput path = channel.WaitForOutput(TimeSpan.FromSeconds(20))!;
        main.Disconnect();
        AwaitLost(channel);
        Assert.Throws<ConnectionLostException>(() => path.Write([1], TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task Sequential_requests_are_met_from_windows_that_double_and_the_memory_is_written()
    {
        const ulong size = 16 << 20;
        using RamBlockList blocks = RamBlockList.Allocate([new RamBlockDescription("pc.ram", size)], size);
        using ListeningDestination destination = new();
        using RdmaSource source = destination.Connect();
        RdmaIncomingChannel channel = destination.Accept();
        channel.SetBlocks(blocks);
        HashSet<uint> keys = [];
        Task<int> reader = Task.Run(() => channel.Input.Read(new byte[1], Timeout.InfiniteTimeSpan));
        for (ulong chunk = 0; chunk < 16; chunk++)
        {
            source.Send((uint)ControlMessageType.RegisterRequest, ControlMessages.Command(chunk << 20, 0, 0));
            byte[] result = source.Receive((uint)ControlMessageType.RegisterResult);
            uint key = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(result);
            keys.Add(key);
            source.Write([(byte)(chunk + 1)], System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(result.AsSpan(8)) + (chunk << 20), key);
        }

        source.Send((uint)ControlMessageType.QemuFile, [1]);
        Assert.Equal(1, await reader);
        Assert.Equal(5, keys.Count); // 1, 2, 4, 8 and the last 1 MiB
        for (int chunk = 0; chunk < 16; chunk++)
        {
            Assert.Equal(chunk + 1, blocks[0].Slice((ulong)chunk << 20, 1)[0]);
        }

        channel.Dispose();
    }

    private static void AwaitLost(RdmaIncomingChannel channel) =>
        Assert.True(SpinWait.SpinUntil(() => channel.Lost is not null, TimeSpan.FromSeconds(60)), "the waiter saw no loss");
}
