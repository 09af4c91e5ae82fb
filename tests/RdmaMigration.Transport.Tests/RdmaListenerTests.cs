using System.Net;
using RdmaMigration.Testing;

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
    public void ARequestThatIsNoMigrationsIsRejectedWithAReasonAndTheNextSourceGetsIn(byte[] privateData, string reason)
    {
        using ListeningDestination destination = new();
        ConnectionRejectedException rejected = Assert.Throws<ConnectionRejectedException>(() => RdmaSource.Connect(destination.EndPoint, privateData));
        Assert.Contains(reason, rejected.Message, StringComparison.Ordinal);
        using RdmaSource next = destination.Connect();
        Assert.NotEmpty(destination.Accept().Peer);
    }

    [Fact]
    public void ASourceOutsideTheAllowedNetworksIsRejectedAndOneInsideGetsIn()
    {
        using (ListeningDestination closed = new(new ListenerOptions { Allow = [IPNetwork.Parse("192.0.2.0/24")] }))
        {
            Assert.Contains("192.0.2.0/24", Assert.Throws<ConnectionRejectedException>(() => closed.Connect()).Message, StringComparison.Ordinal);
        }

        using ListeningDestination open = new(new ListenerOptions { Allow = [IPNetwork.Parse("192.0.2.0/24"), new IPNetwork(RdmaAddress.V4, 32)] });
        using RdmaSource source = open.Connect();
        open.Accept();
    }

    [Fact]
    public async Task ASourceThatFollowsOneThatIsGoneIsNotTakenForItsReturnPath()
    {
        using ListeningDestination destination = new(new ListenerOptions { Backlog = 1 });
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
    public async Task ASecondSourceWaitsWhileAMigrationRunsAndGetsInWhenItEnds()
    {
        using ListeningDestination destination = new();
        using RdmaSource first = destination.Connect();
        RdmaIncomingChannel running = destination.Accept();

        // Its stream has begun, so the next connection from the same host is another migration and not its return path.
        first.SendRaw(ControlMessages.QemuFile(1));
        running.Input.Read(new byte[1], Timeout.InfiniteTimeSpan);
        Task<RdmaSource> second = Task.Run(() => destination.Connect());
        running.Dispose();
        RdmaIncomingChannel next = destination.Accept();
        using RdmaSource got = await second;
        Assert.NotSame(running, next);
    }

    [Fact]
    public void ASecondConnectionBeforeTheStreamBeginsIsTheReturnPath()
    {
        using ListeningDestination destination = new();
        using RdmaSource main = destination.Connect();
        using RdmaSource back = destination.Connect();
        Assert.NotNull(destination.Accept().WaitForOutput(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public void APortInUseIsSaid()
    {
        using ListeningDestination destination = new();
        using CompletionWaiter waiter = new();
        ConnectFailedException failed = Assert.Throws<ConnectFailedException>(() => new RdmaListener(
            waiter, new RdmaUri(RdmaAddress.V4.ToString(), destination.EndPoint.Port), new ListenerOptions(), channel => channel.Dispose(), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance));
        Assert.Contains("EADDRINUSE", failed.Message, StringComparison.Ordinal);
    }
}
