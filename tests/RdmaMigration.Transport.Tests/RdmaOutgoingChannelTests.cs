using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using RdmaMigration.Memory;
using RdmaMigration.Testing;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport.Tests;

/// <summary>The sending side against our own receiving side, over real verbs.</summary>
[Trait("needs", "rdma")]
public sealed class RdmaOutgoingChannelTests
{
    public static TheoryData<Fill, bool> Machines => MachineMemory.FillsAndModes;

    [Theory]
    [MemberData(nameof(Machines))]
    public async Task Memory_arrives_identical_also_over_old_content(Fill fill, bool pinAll)
    {
        using RamBlockList sent = MachineMemory.Allocate(fill);
        using RamBlockList received = MachineMemory.Allocate(Fill.Dense);
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma with { PinAll = pinAll, WindowBytes = 4 << 20 });
        Assert.Equal(pinAll, channel.Ram.PinAll);
        using RdmaIncomingChannel incoming = destination.Accept();
        incoming.SetBlocks(received);
        Task<int> reader = Task.Run(() => incoming.Input.Read(new byte[1], Timeout.InfiniteTimeSpan));
        channel.Ram.ExchangeBlocks(sent);
        channel.Ram.Send();
        channel.Output.Write([1]);
        Assert.Equal(1, await reader);
        MachineMemory.AssertSame(sent, received);
        Assert.Equal((long)sent.TotalLength, channel.Ram.SentBytes + channel.Ram.ZeroBytes);
    }

    /// <summary>A machine that runs: all of it, then what it wrote, also where there was no memory when the pass before began.</summary>
    [Theory]
    [MemberData(nameof(Machines))]
    public async Task Pages_written_after_a_pass_arrive_with_the_next(Fill fill, bool pinAll)
    {
        using RamBlockList sent = MachineMemory.Allocate(fill);
        using RamBlockList received = MachineMemory.Allocate(Fill.Dense);
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma with { PinAll = pinAll, WindowBytes = 4 << 20 });
        using RdmaIncomingChannel incoming = destination.Accept();
        incoming.SetBlocks(received);
        Task<int> reader = Task.Run(() => incoming.Input.Read(new byte[1], Timeout.InfiniteTimeSpan));
        channel.Ram.ExchangeBlocks(sent, runs: true);
        channel.Ram.Send();
        PageList pages = new((0, 0, 1), (0, 300, 700), (0, 5000, 1), (1, 768, 1));
        for (byte pass = 1; pass <= 3; pass++)
        {
            for (int block = 0; block < sent.Count; block++)
            {
                for (ulong at = 0; pages.TryNext(block, at, out ulong start, out at);)
                {
                    sent[block].Slice(start, (int)(at - start)).Fill(pass);
                }
            }

            channel.Ram.Send(pages);
        }

        channel.Output.Write([1]);
        Assert.Equal(1, await reader);
        MachineMemory.AssertSame(sent, received);
    }

    [Theory]
    [InlineData(Fill.OneChunkOfFour, false)]
    [InlineData(Fill.OddPages, false)]
    [InlineData(Fill.OneChunkOfFour, true)]
    [InlineData(Fill.OddPages, true)]
    public async Task A_hole_is_not_sent_and_is_a_hole_afterwards(Fill fill, bool pinAll)
    {
        using RamBlockList sent = MachineMemory.Allocate(fill).AllowDiscardingZeros();
        using RamBlockList received = MachineMemory.Allocate(Fill.Empty);
        ulong resident = sent.ResidentBytes;
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma with { PinAll = pinAll });
        using RdmaIncomingChannel incoming = destination.Accept();
        incoming.SetBlocks(received);
        Task<int> reader = Task.Run(() => incoming.Input.Read(new byte[1], Timeout.InfiniteTimeSpan));
        channel.Ram.ExchangeBlocks(sent);
        channel.Ram.Send();
        channel.Output.Write([1]);
        await reader;

        // While the channel still holds its registrations.
        Assert.Equal(resident, sent.ResidentBytes);
        Assert.Equal((long)resident, channel.Ram.SentBytes);
        ulong arrived = fill is Fill.OddPages ? received.TotalLength - 4096 : resident; // the last chunk is one empty page
        Assert.Equal(pinAll ? received.TotalLength : arrived, received.ResidentBytes);
        MachineMemory.AssertSame(sent, received);
    }

    [Theory]
    [InlineData(false, ControlMessageType.Ready)]
    [InlineData(true, ControlMessageType.RamBlocksResult)]
    public void A_destination_that_is_silent_in_the_block_exchange_is_given_up(bool isReady, object awaited)
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.OneChunkOfFour);
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma with { AnswerTimeout = TimeSpan.FromSeconds(1) });
        using RdmaIncomingChannel incoming = destination.Accept();
        if (isReady)
        {
            Assert.Equal(0, incoming.Input.Read(new byte[1], TimeSpan.Zero));
        }

        PeerSilentException silent = Assert.Throws<PeerSilentException>(() => channel.Ram.ExchangeBlocks(sent));

        Assert.Equal((awaited.ToString(), channel.Peer, TimeSpan.FromSeconds(1)), (silent.Step, silent.Peer, silent.Bound));
        Assert.Null(channel.Lost);
    }

    [Fact]
    public async Task The_return_path_carries_what_the_destination_writes()
    {
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma with { ReturnPath = true });
        using RdmaIncomingChannel incoming = destination.Accept();
        ChannelOutput back = incoming.WaitForOutput(TimeSpan.FromSeconds(20))!;
        Task<byte[]> reader = Task.Run(() =>
        {
            byte[] bytes = new byte[5];
            for (int got = 0; got < bytes.Length;)
            {
                got += channel.Input!.Read(bytes.AsSpan(got), Timeout.InfiniteTimeSpan);
            }

            return bytes;
        });
        back.Write([1, 2, 3], TimeSpan.FromSeconds(20));
        back.Write([4, 5], TimeSpan.FromSeconds(20));
        Assert.Equal([1, 2, 3, 4, 5], await reader);
    }

    /// <summary>The kernel then reports UNREACHABLE for each connection to that address, and the path is as good as before.</summary>
    [Fact]
    public async Task A_neighbours_new_MAC_address_does_not_end_a_migration()
    {
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma);
        using RdmaIncomingChannel incoming = destination.Accept();
        string network = NetworkInterface.GetAllNetworkInterfaces()
            .Single(found => found.GetIPProperties().UnicastAddresses.Any(address => address.Address.Equals(RdmaAddress.V4))).Name;
        Neighbour($"replace {RdmaAddress.V4} lladdr 02:00:00:00:00:77 dev {network} nud permanent");
        try
        {
            await Task.Delay(TimeSpan.FromSeconds(3), TestContext.Current.CancellationToken);
            Assert.Equal((null, null), (channel.Lost, incoming.Lost));
            Task<int> reader = Task.Run(() => incoming.Input.Read(new byte[1], Timeout.InfiniteTimeSpan));
            channel.Output.Write([1]);
            Assert.Equal(1, await reader);
        }
        finally
        {
            Neighbour($"del {RdmaAddress.V4} dev {network}");
        }
    }

    [Fact]
    public async Task A_destination_that_closes_is_seen_by_who_waits_for_that()
    {
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma);
        Task closed = Task.Run(channel.AwaitClose);
        await Assert.ThrowsAsync<TimeoutException>(() => closed.WaitAsync(TimeSpan.FromMilliseconds(10), TestContext.Current.CancellationToken));
        destination.Accept().Dispose();
        await closed.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Equal(ConnectionLoss.Disconnected, channel.Lost!.Loss);
    }

    [Fact]
    public void A_blocked_writer_returns_within_100_milliseconds_of_a_shutdown() => Soon.Assert(() =>
    {
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma);
        using RdmaIncomingChannel incoming = destination.Accept();
        using ManualResetEventSlim first = new();
        FailingCall writer = new(() =>
        {
            while (true)
            {
                channel.Output.Write([1]);
                first.Set();
            }
        });

        // The destination takes the first message and no other.
        while (!first.IsSet)
        {
            _ = incoming.Input.Read(new byte[1], TimeSpan.FromMilliseconds(1));
        }

        Soon.AwaitStandstill(() => channel.Output.SentBytes);
        return Soon.ShutDown(writer, channel.Shutdown);
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_blocked_writer_of_RAM_returns_within_100_milliseconds_of_a_shutdown(bool isLimited) => Soon.Assert(() =>
    {
        using RamBlockList sent = MachineMemory.Allocate(Fill.Dense);
        using RamBlockList received = MachineMemory.Allocate(Fill.Empty);
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma with { PinAll = isLimited });
        using RdmaIncomingChannel incoming = destination.Accept();
        incoming.SetBlocks(received);
        using ManualResetEventSlim exchanged = new();
        using ManualResetEventSlim goOn = new();
        FailingCall writer = new(() =>
        {
            channel.Ram.ExchangeBlocks(sent);
            exchanged.Set();
            goOn.Wait();
            channel.Output.Limit = isLimited ? new BandwidthLimit(1 << 20) : null;
            channel.Ram.Send();
        });

        // From the exchange on the destination answers nothing: the writer waits for keys, or for the limit.
        while (!exchanged.IsSet)
        {
            _ = incoming.Input.Read(new byte[1], TimeSpan.FromMilliseconds(1));
        }

        goOn.Set();
        Thread.Sleep(50);
        return Soon.ShutDown(writer, channel.Shutdown);
    });

    [Fact]
    public void A_blocked_return_path_reader_returns_within_100_milliseconds_of_a_shutdown() => Soon.Assert(() =>
    {
        using ListeningDestination destination = new();
        using RdmaOutgoingChannel channel = destination.ConnectOurs(TestOptions.Rdma with { ReturnPath = true });
        using RdmaIncomingChannel incoming = destination.Accept();
        ChannelOutput back = incoming.WaitForOutput(TimeSpan.FromSeconds(20))!;
        back.Write([1], TimeSpan.FromSeconds(20));
        byte[] buffer = new byte[16];
        return Soon.ShutDownReader(() => channel.Input!.Read(buffer, Timeout.InfiniteTimeSpan), channel.Shutdown);
    });

    [Fact]
    public async Task The_destination_retries_forever_to_send_without_a_receive()
    {
        using CompletionWaiter waiter = new();
        using EventChannel events = EventChannel.Create();
        using CmId listener = CmId.Create(events);
        listener.Bind(new IPEndPoint(RdmaAddress.V4, 0));
        listener.Listen(1);
        RdmaUri uri = new(RdmaAddress.V4.ToString(), listener.LocalEndPoint!.Port);
        Task connecting = Task.Run(() => RdmaOutgoingChannel.Connect(waiter, uri, TestOptions.Rdma, TestContext.Current.CancellationToken));
        Assert.True(events.Wait(TimeSpan.FromSeconds(60)));
        using CmEvent request = events.GetEvent();
        using CmId source = request.Id;
        source.Reject([]);
        await Assert.ThrowsAsync<ConnectFailedException>(() => connecting);
        Assert.Equal(7, request.ConnectionParameters.RnrRetryCount);
    }

    private static void Neighbour(string change)
    {
        using Process ip = Process.Start("ip", $"neighbour {change}");
        ip.WaitForExit();
        Assert.Equal(0, ip.ExitCode);
    }

    [Fact]
    public void Nobody_listening_is_an_error()
    {
        using CompletionWaiter waiter = new();
        ConnectFailedException failed = Assert.Throws<ConnectFailedException>(() =>
            RdmaOutgoingChannel.Connect(waiter, new RdmaUri(RdmaAddress.V4.ToString(), 1), TestOptions.Rdma, TestContext.Current.CancellationToken));
        Assert.Contains($"cannot connect to rdma:{RdmaAddress.V4}:1", failed.Message, StringComparison.Ordinal);
        Assert.Contains("nobody listens on that port", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_without_a_route_is_an_error()
    {
        using CompletionWaiter waiter = new();
        ConnectFailedException failed = Assert.Throws<ConnectFailedException>(() =>
            RdmaOutgoingChannel.Connect(waiter, new RdmaUri("192.0.2.1", 4444), TestOptions.Rdma, TestContext.Current.CancellationToken));
        Assert.Contains("check `ip route get ADDRESS`", failed.Message, StringComparison.Ordinal);
    }
}
