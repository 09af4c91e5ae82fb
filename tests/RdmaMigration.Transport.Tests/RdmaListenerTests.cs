using System.Net;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using RdmaMigration.Testing;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport.Tests;

/// <summary>Who gets in, over real verbs.</summary>
[Trait("needs", "rdma")]
public sealed class RdmaListenerTests
{
    public static TheoryData<byte[], string> Refused => new()
    {
        { [0, 0, 0, 2, 0, 0, 0, 0], "version 2" },
        { [0, 0, 0, 0, 0, 0, 0, 0], "version 0" },

        // The transport pads what is short with zeros: two bytes arrive as a version that no source has.
        { [0, 1], "version 65536" },
        { [], "version 0" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_request_of_no_migration_is_rejected_and_the_next_source_gets_in(byte[] privateData, string reason)
    {
        using ListeningDestination destination = new();
        ConnectionRejectedException rejected = Assert.Throws<ConnectionRejectedException>(() => RdmaSource.Connect(destination.EndPoint, privateData));
        Assert.Contains(reason, rejected.Message, StringComparison.Ordinal);
        using RdmaSource next = destination.Connect();
        Assert.NotEmpty(destination.Accept().Peer);
    }

    [Fact]
    public void A_source_outside_the_allowed_networks_is_rejected_and_one_inside_gets_in()
    {
        using (ListeningDestination closed = new(TestOptions.Listener with { Allow = [TestOptions.Peers("192.0.2.0/24")] }))
        {
            Assert.Contains("192.0.2.0/24", Assert.Throws<ConnectionRejectedException>(() => closed.Connect()).Message, StringComparison.Ordinal);
        }

        using ListeningDestination open = new(
            TestOptions.Listener with { Allow = [TestOptions.Peers("192.0.2.0/24"), TestOptions.Peers($"{RdmaAddress.V4}")] });
        using RdmaSource source = open.Connect();
        open.Accept();
    }

    [Fact]
    public void A_source_port_that_is_not_allowed_is_rejected_and_one_that_is_gets_in()
    {
        // The kernel gives a source a port of net.ipv4.ip_local_port_range, which has no privileged one.
        using (ListeningDestination closed = new(TestOptions.Listener with { Allow = [TestOptions.Peers($"{RdmaAddress.V4}:1-1023")] }))
        {
            string refusal = Assert.Throws<ConnectionRejectedException>(() => closed.Connect()).Message;
            Assert.Matches($@"{Regex.Escape(RdmaAddress.V4.ToString())}:\d{{4,5}} .*{Regex.Escape($"{RdmaAddress.V4}/32:1-1023")}", refusal);
        }

        using ListeningDestination open = new(TestOptions.Listener with { Allow = [TestOptions.Peers($"{RdmaAddress.V4}:1024-65535")] });
        using RdmaSource source = open.Connect();
        Assert.Equal(source.LocalEndPoint.ToString(), open.Accept().Peer);
    }

    [Fact]
    public async Task A_source_that_follows_one_that_is_gone_is_not_taken_for_its_return_path()
    {
        using ListeningDestination destination = new(TestOptions.Listener with { Backlog = 1 });
        RdmaSource first = destination.Connect();
        RdmaIncomingChannel lost = destination.Accept();
        first.Dispose();

        // As the return path one of them would be let in, and room would be left for the other to wait.
        Task<RdmaSource>[] two = [Task.Run(() => destination.Connect()), Task.Run(() => destination.Connect())];
        Task<RdmaSource> refused = await Task.WhenAny(two);
        await Assert.ThrowsAsync<ConnectionRejectedException>(() => refused);
        lost.Dispose();
        using RdmaSource got = await two.Single(task => task != refused);
        Assert.NotEmpty(destination.Accept().Peer);
    }

    [Fact]
    public async Task A_second_source_waits_while_a_migration_runs_and_gets_in_when_it_ends()
    {
        using ListeningDestination destination = new();
        using RdmaSource first = destination.Connect();
        RdmaIncomingChannel running = destination.Accept();

        // Its stream has begun, so the next connection from the same host is another migration and not its return path.
        first.SendRaw(ControlMessages.QemuFile(1));
        running.Input.Read(new byte[1], Timeout.InfiniteTimeSpan);
        Task<RdmaSource> second = Task.Run(() => destination.Connect());
        running.Dispose();
        RdmaIncomingChannel next = destination.Accept(second);
        using RdmaSource got = await second;
        Assert.NotSame(running, next);
    }

    [Fact]
    public async Task Where_one_machine_is_taken_a_second_source_is_rejected_with_the_reason_until_the_first_is_gone()
    {
        LogLines log = new();
        using ListeningDestination destination = new(TestOptions.Listener with { Queues = false }, log: log);
        RdmaSource first = destination.Connect();
        RdmaIncomingChannel running = destination.Accept();
        first.SendRaw(ControlMessages.QemuFile(1));
        running.Input.Read(new byte[1], Timeout.InfiniteTimeSpan);

        ConnectionRejectedException rejected = Assert.Throws<ConnectionRejectedException>(() => destination.Connect());

        Assert.Contains("another migration is running", rejected.Message, StringComparison.Ordinal);
        Assert.Contains(log.At(LogLevel.Warning), line => line.StartsWith($"rejected {RdmaAddress.V4}:", StringComparison.Ordinal)
            && line.EndsWith("another migration is running, and this process receives only one machine", StringComparison.Ordinal));
        Assert.Null(running.Lost);

        // The one that runs ends: the next source waits for that, and gets in.
        first.Dispose();
        Task<RdmaSource> next = Task.Run(() => destination.Connect());
        running.Dispose();
        Assert.NotSame(running, destination.Accept(next));
        (await next).Dispose();
    }

    /// <summary>The request of another source meets a channel that is freed and not yet released. It got no answer at all, for minutes.</summary>
    [Fact]
    public void A_request_that_meets_a_freed_channel_is_not_its_return_path()
    {
        using ListeningDestination destination = new();
        using RdmaSource first = destination.Connect();
        RdmaIncomingChannel freed = destination.Accept();
        freed.Dispose();
        using EventChannel events = EventChannel.Create();
        using CmId id = CmId.Create(events);
        Assert.False(freed.TryClaimReturnPath(new ConnectionRequest(id, RdmaSource.Dynamic)));
    }

    [Fact]
    public void A_channel_that_nobody_took_is_freed_and_the_next_source_gets_in()
    {
        int calls = 0;
        using ListeningDestination destination = new(accepted: _ =>
        {
            if (++calls == 1)
            {
                throw new InvalidOperationException("a defect");
            }
        });
        using RdmaSource first = destination.Connect();
        first.AwaitDisconnect();
        using RdmaSource second = destination.Connect();
        destination.Accept();
        Assert.Equal(2, calls);
    }

    [Fact]
    public void A_return_path_of_another_migration_is_refused_and_the_right_one_is_joined()
    {
        using ListeningDestination destination = new();
        ConnectionPurpose ours = ConnectionPurpose.NewMigration();
        using RdmaSource main = destination.Connect(ours);
        RdmaIncomingChannel channel = destination.Accept();
        ConnectionPurpose others = ConnectionPurpose.NewMigration() with { Role = ConnectionRole.ReturnPath };
        ConnectionRejectedException rejected = Assert.Throws<ConnectionRejectedException>(() => destination.Connect(others));
        Assert.Contains("ReturnPath", rejected.Message, StringComparison.Ordinal);
        Assert.Null(channel.WaitForOutput(TimeSpan.Zero));
        using RdmaSource back = destination.Connect(ours with { Role = ConnectionRole.ReturnPath });
        Assert.NotNull(channel.WaitForOutput(TimeSpan.FromSeconds(20)));
    }

    /// <summary>The source said that the destination does not know return paths.</summary>
    [Fact]
    public void A_return_path_of_a_migration_that_is_cancelled_here_is_refused_with_that_reason()
    {
        using ListeningDestination destination = new(accepted: channel => channel.Shutdown("cancelled by hand"));
        ConnectFailedException refused = Assert.Throws<ConnectFailedException>(() => destination.ConnectOurs(TestOptions.Rdma with { ReturnPath = true }));
        destination.Accept();
        Assert.Contains("cancelled by hand", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("turn return-path on", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Another_source_on_the_same_host_is_not_joined_before_our_stream_begins(bool isOurs)
    {
        using ListeningDestination destination = new(TestOptions.Listener with { Backlog = 1 });
        using RdmaSource main = destination.Connect(ConnectionPurpose.NewMigration());
        RdmaIncomingChannel running = destination.Accept();

        // One of the two waits, and the listener refuses the other, so that both are decided; as a return path one would be let in.
        Task<RdmaSource>[] two =
            [.. Enumerable.Range(0, 2).Select(_ => Task.Run(() => isOurs ? destination.Connect(ConnectionPurpose.NewMigration()) : destination.Connect()))];
        Task<RdmaSource> refused = await Task.WhenAny(two);
        await Assert.ThrowsAsync<ConnectionRejectedException>(() => refused);
        Assert.Null(running.WaitForOutput(TimeSpan.Zero));
        running.Dispose();
        Task<RdmaSource> waiting = two.Single(task => task != refused);
        Assert.NotSame(running, destination.Accept(waiting));
        (await waiting).Dispose();
    }

    [Fact]
    public void A_second_connection_before_the_stream_begins_is_the_return_path()
    {
        using ListeningDestination destination = new();
        using RdmaSource main = destination.Connect();
        using RdmaSource back = destination.Connect();
        Assert.NotNull(destination.Accept().WaitForOutput(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public void A_port_in_use_is_reported()
    {
        using ListeningDestination destination = new();
        using CompletionWaiter waiter = new();
        ConnectFailedException failed = Assert.Throws<ConnectFailedException>(() => RdmaListener.Listen(
            waiter, new RdmaUri(RdmaAddress.V4.ToString(), destination.EndPoint.Port), TestOptions.Listener, channel =>
                channel.Dispose(), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance));
        Assert.Contains("EADDRINUSE", failed.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("rdma:[::]:0", "::", true, true)]
    [InlineData("rdma:[::]:0,ipv6=on", "::", false, true)]
    [InlineData("rdma:[::]:0,ipv4=off", "::", false, true)]
    [InlineData("rdma:[::]:0,ipv4,ipv6", "::", true, true)]
    [InlineData("rdma:0.0.0.0:0", "0.0.0.0", true, false)]
    [InlineData("rdma::0", "::", true, true)]
    [InlineData("rdma::0,ipv4=on,ipv6=on", "::", true, true)]
    [InlineData("rdma::0,ipv4", "0.0.0.0", true, false)]
    [InlineData("rdma::0,ipv6=off", "0.0.0.0", true, false)]
    [InlineData("rdma::0,ipv6", "::", false, true)]
    public void Wildcards_take_the_families_that_the_options_leave(string uri, string listensAt, bool takesIpv4, bool takesIpv6)
    {
        using ListeningDestination destination = new(uri: RdmaUri.Parse(uri));
        Assert.Equal(IPAddress.Parse(listensAt), destination.EndPoint.Address);
        foreach ((IPAddress address, bool isTaken) in (ReadOnlySpan<(IPAddress, bool)>)[(RdmaAddress.V4, takesIpv4), (RdmaAddress.V6, takesIpv6)])
        {
            IPEndPoint at = new(address, destination.EndPoint.Port);
            if (isTaken)
            {
                using RdmaSource source = RdmaSource.Connect(at, RdmaSource.Dynamic);
                using RdmaIncomingChannel channel = destination.Accept();
                Assert.Null(channel.Lost);
            }
            else
            {
                Assert.Throws<ConnectionRejectedException>(() => RdmaSource.Connect(at, RdmaSource.Dynamic));
            }
        }
    }

    [Fact]
    public void A_request_that_no_thread_can_serve_is_rejected_and_the_next_gets_in()
    {
        int starts = 0;
        using ListeningDestination destination = new(startThread: thread =>
        {
            if (++starts == 1)
            {
                throw new InsufficientMemoryException("no thread");
            }

            thread.Start();
        });
        ConnectionRejectedException rejected = Assert.Throws<ConnectionRejectedException>(() => destination.Connect());
        Assert.Contains("cannot start a thread", rejected.Message, StringComparison.Ordinal);
        using RdmaSource next = destination.Connect();
        Assert.NotEmpty(destination.Accept().Peer);
    }
}
