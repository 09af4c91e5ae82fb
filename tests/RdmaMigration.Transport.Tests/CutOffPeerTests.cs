using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport.Tests;

/// <summary>A TCP peer whose packets get lost on the way: no end, no reset. The route is cut, which takes root; the guest's tests have it.</summary>
[Trait("needs", "rdma")]
public sealed class CutOffPeerTests
{
    private static readonly TimeSpan s_probe = TimeSpan.FromSeconds(1);

    /// <summary>Four silences, the kernel's retransmission in between, and room for a slow machine.</summary>
    private static readonly TimeSpan s_found = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_writer_finds_its_destination_gone()
    {
        using Cut cut = new("127.0.0.41");
        using TcpListener listener = new(cut.Address, 0);
        listener.Start();
        using OutgoingChannel channel = DescriptorOutgoingChannel.Open(
            new TcpUri(cut.Address.ToString(), ((IPEndPoint)listener.LocalEndpoint).Port),
            TestOptions.Descriptors with { KeepAliveInterval = s_probe },
            CancellationToken.None);
        using Socket destination = listener.AcceptSocket();
        Task reading = Task.Run(() =>
        {
            byte[] buffer = new byte[1 << 16];
            while (destination.Receive(buffer) > 0)
            {
            }
        });
        channel.Output.Limit = new BandwidthLimit(16 << 20);
        FailingCall writer = new(() => channel.Output.Write(new byte[1 << 30]));
        Assert.True(SpinWait.SpinUntil(() => channel.Output.SentBytes > 0, s_found));

        cut.Apply();

        Soon.AssertLost(writer.Ended(0), ConnectionLoss.Unreachable, "does not answer");
        destination.Close();
        await Assert.ThrowsAnyAsync<SocketException>(() => reading);
    }

    [Fact]
    public void A_reader_finds_its_source_gone()
    {
        using Cut cut = new("127.0.0.42");
        using Listening listening = new(new TcpUri(cut.Address.ToString(), 0), TestOptions.Listener with { KeepAliveInterval = s_probe });
        using Stream source = IncomingPair.BeginTo(listening.EndPoint);
        using IncomingChannel channel = listening.AcceptBegun();
        FailingCall reader = new(() => channel.Input.Read(new byte[1], Timeout.InfiniteTimeSpan));

        cut.Apply();

        Soon.AssertLost(reader.Ended(0), ConnectionLoss.Unreachable, "does not answer");
    }

    [Fact]
    public async Task A_destination_that_lives_and_takes_nothing_is_waited_for()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        using OutgoingChannel channel = DescriptorOutgoingChannel.Open(
            new TcpUri("127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port),
            TestOptions.Descriptors with { KeepAliveInterval = s_probe },
            CancellationToken.None);
        byte[] sent = new byte[32 << 20];
        Task writer = Task.Run(() => channel.Output.Write(sent));
        await Assert.ThrowsAsync<TimeoutException>(() => writer.WaitAsync(TimeSpan.FromSeconds(7), TestContext.Current.CancellationToken));

        using NetworkStream destination = new(await listener.AcceptSocketAsync(TestContext.Current.CancellationToken), ownsSocket: true);
        await destination.ReadExactlyAsync(new byte[sent.Length], TestContext.Current.CancellationToken);
        await writer;
    }

    /// <summary>An address of this host that stops being one.</summary>
    private sealed class Cut(string address) : IDisposable
    {
        private bool _applied;

        public IPAddress Address { get; } = IPAddress.Parse(address);

        public void Apply()
        {
            Assert.Equal(0, Route("add"));
            _applied = true;
        }

        public void Dispose()
        {
            if (_applied)
            {
                Assert.Equal(0, Route("del"));
            }
        }

        private int Route(string verb)
        {
            using Process ip = Process.Start("ip", ["route", verb, "blackhole", $"{Address}/32", "table", "local"]);
            ip.WaitForExit();
            return ip.ExitCode;
        }
    }
}
