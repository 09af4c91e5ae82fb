using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Verbs.Tests.Rdma;

[Trait("needs", "rdma")]
public sealed class ConnectionTests
{
    private static IPAddress Address => TestHost.Address(AddressFamily.InterNetwork);

    [Theory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.InterNetworkV6)]
    public void Connection_carries_private_data_both_ways_and_both_sides_disconnect(AddressFamily family)
    {
        IPAddress address = TestHost.Address(family);
        using Loopback loopback = Loopback.Connect(address);
        Assert.Equal(loopback.Listener.LocalEndPoint, loopback.Client.Id.RemoteEndPoint);
        Assert.Equal(address, loopback.Server.Id.LocalEndPoint!.Address);
        Assert.Equal(loopback.Client.Id.LocalEndPoint, loopback.Server.Id.RemoteEndPoint);
        Assert.Equal(1, loopback.Server.Id.PortNumber);
        Assert.Equal(TestHost.Device.Name, loopback.Server.Id.Device!.DeviceName);

        loopback.Client.Id.Disconnect();
        using CmEvent there = loopback.Server.Events.Expect(CmEventType.Disconnected);
        Assert.Same(loopback.Server.Id, there.Id);
        loopback.Server.Id.Disconnect();
        using CmEvent here = loopback.Client.Events.Expect(CmEventType.Disconnected);
        Assert.Same(loopback.Client.Id, here.Id);
        loopback.Client.Id.Disconnect();
    }

    [Fact]
    public void Request_shows_what_the_peer_offers()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = Loopback.Listen(channel, Address);
        using EventChannel calling = EventChannel.Create();
        using CmId caller = Loopback.Resolve(calling, listener.LocalEndPoint!);
        using Side client = new(caller, calling);
        caller.Connect(new ConnectionParameters(ResponderResources: 3, InitiatorDepth: 2, RetryCount: 5, RnrRetryCount: 6), []);
        using CmEvent request = channel.Expect(CmEventType.ConnectRequest);
        using CmId accepted = request.Id;
        // The peer's responder resources are this side's initiator depth.
        Assert.Equal(new ConnectionParameters(ResponderResources: 2, InitiatorDepth: 3, RetryCount: 5, RnrRetryCount: 6), request.ConnectionParameters);
        Assert.Equal(client.Pair.Number, request.RemoteQueuePairNumber);
    }

    [Fact]
    public void Rejection_carries_private_data_and_the_exception_says_who_refused()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = Loopback.Listen(channel, Address);
        using EventChannel calling = EventChannel.Create();
        using CmId caller = Loopback.Resolve(calling, listener.LocalEndPoint!);
        using Side client = new(caller, calling);
        caller.Connect(Loopback.Parameters, []);
        using (CmEvent request = channel.Expect(CmEventType.ConnectRequest))
        {
            using CmId unwanted = request.Id;
            unwanted.Reject([9, 8, 7]);
        }
        using CmEvent rejected = calling.Expect(CmEventType.Rejected);
        Assert.True(rejected.IsError);
        Assert.Equal([9, 8, 7], rejected.PrivateData[..3].ToArray());
        VerbsException exception = rejected.ToException();
        Assert.StartsWith("RDMA_CM_EVENT_REJECTED", exception.Message, StringComparison.Ordinal);
        Assert.Contains(listener.LocalEndPoint!.ToString(), exception.Message, StringComparison.Ordinal);
        Assert.Contains("declined by the program", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Connecting_to_a_port_where_nobody_listens_is_rejected_with_that_reason()
    {
        IPEndPoint free;
        using (EventChannel channel = EventChannel.Create())
        using (CmId placeholder = CmId.Create(channel))
        {
            placeholder.Bind(new IPEndPoint(Address, 0));
            free = placeholder.LocalEndPoint!;
        }
        using EventChannel calling = EventChannel.Create();
        using CmId caller = Loopback.Resolve(calling, free);
        using Side client = new(caller, calling);
        caller.Connect(Loopback.Parameters, []);
        using CmEvent rejected = calling.Expect(CmEventType.Rejected);
        Assert.Contains("nobody listens on that port", rejected.ToException().Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Request_that_is_only_disposed_is_rejected()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = Loopback.Listen(channel, Address);
        using EventChannel calling = EventChannel.Create();
        using CmId caller = Loopback.Resolve(calling, listener.LocalEndPoint!);
        using Side client = new(caller, calling);
        caller.Connect(Loopback.Parameters, []);
        using (CmEvent request = channel.Expect(CmEventType.ConnectRequest))
        {
            request.Id.Dispose();
        }

        calling.Expect(CmEventType.Rejected).Dispose();
    }

    [Fact]
    public void Binding_to_a_port_in_use_says_so()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = Loopback.Listen(channel, Address);
        using CmId second = CmId.Create(channel);
        VerbsException exception = Assert.Throws<VerbsException>(() =>
        {
            second.Bind(listener.LocalEndPoint!);
            second.Listen(1);
        });
        Assert.Equal("EADDRINUSE", exception.ErrnoName);
        Assert.Contains("Another program listens on this port", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Binding_to_an_address_of_no_device_says_so()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId id = CmId.Create(channel);
        VerbsException exception = Assert.Throws<VerbsException>(() => id.Bind(IPEndPoint.Parse("203.0.113.1:4444")));
        Assert.Contains("203.0.113.1:4444", exception.Message, StringComparison.Ordinal);
        Assert.Contains("No RDMA device has this address", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resolving_an_address_without_route_says_so()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId id = CmId.Create(channel);
        VerbsException exception;
        try
        {
            id.ResolveAddress(IPEndPoint.Parse("203.0.113.1:4444"), TestHost.Limit);
            using CmEvent failed = channel.Expect(CmEventType.AddressError);
            exception = failed.ToException("203.0.113.1:4444");
        }
        catch (VerbsException refused)
        {
            exception = refused;
        }
        Assert.Contains("203.0.113.1:4444", exception.Message, StringComparison.Ordinal);
        Assert.Contains("ip route get", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Listener_on_all_addresses_has_no_device_and_takes_both_families()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = Loopback.Listen(channel, IPAddress.IPv6Any);
        Assert.Null(listener.Device);
        foreach (AddressFamily family in (AddressFamily[])[AddressFamily.InterNetwork, AddressFamily.InterNetworkV6])
        {
            using EventChannel calling = EventChannel.Create();
            using CmId caller = Loopback.Resolve(calling, new IPEndPoint(TestHost.Address(family), listener.LocalEndPoint!.Port));
            using Side client = new(caller, calling);
            caller.Connect(Loopback.Parameters, []);
            using CmEvent request = channel.Expect(CmEventType.ConnectRequest);
            using CmId accepted = request.Id;
            Assert.NotNull(accepted.Device);
        }
    }

    [Fact]
    public void Options_are_taken_before_the_id_is_bound()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId id = CmId.Create(channel);
        id.SetReuseAddress(true);
        id.SetTypeOfService(0x20);
        id.SetAckTimeout(14);
        id.SetIPv6Only(true);
        id.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        Assert.NotEqual(0, id.LocalEndPoint!.Port);
        id.Listen(1);
        Assert.Throws<VerbsException>(() => id.SetIPv6Only(false));
    }

    [Fact]
    public void Ack_timeout_reaches_the_queue_pair()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = Loopback.Listen(channel, Address);
        using EventChannel calling = EventChannel.Create();
        using CmId caller = Loopback.Resolve(calling, listener.LocalEndPoint!);
        caller.SetAckTimeout(10);
        using Side client = new(caller, calling);
        caller.Connect(Loopback.Parameters, []);
        using (CmEvent request = channel.Expect(CmEventType.ConnectRequest))
        {
            using CmId accepted = request.Id;
            using Side server = new(accepted, EventChannel.Create());
            accepted.Accept(Loopback.Parameters, []);
            calling.Expect(CmEventType.Established).Dispose();
            Assert.Equal(10, client.Pair.Query().Timeout);
        }
    }

    [Fact]
    public void Migrating_an_id_with_an_unacknowledged_event_is_refused_instead_of_hanging()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = Loopback.Listen(channel, Address);
        using EventChannel calling = EventChannel.Create();
        using EventChannel other = EventChannel.Create();
        using CmId caller = CmId.Create(calling);
        caller.ResolveAddress(listener.LocalEndPoint!, TestHost.Limit);
        using (calling.Expect(CmEventType.AddressResolved))
        {
            Assert.Throws<InvalidOperationException>(() => caller.MigrateTo(other));
        }

        caller.MigrateTo(other);
        caller.ResolveRoute(TestHost.Limit);
        using CmEvent resolved = other.Expect(CmEventType.RouteResolved);
        Assert.Same(caller, resolved.Id);
    }

    [Fact]
    public void Channel_that_does_not_block_has_no_event_when_nothing_happened()
    {
        using EventChannel channel = EventChannel.Create();
        channel.SetNonBlocking();
        Assert.False(channel.TryGetEvent(out CmEvent? none));
        Assert.Null(none);
        Assert.False(channel.Wait(TimeSpan.Zero));
        using DeviceContext context = TestHost.Device.Open();
        using CompletionChannel completions = CompletionChannel.Create(context);
        completions.SetNonBlocking();
        Assert.False(completions.TryGetEvent());
    }

    [Fact]
    public void Private_data_beyond_the_wire_is_refused()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId listener = Loopback.Listen(channel, Address);
        using EventChannel calling = EventChannel.Create();
        using CmId caller = Loopback.Resolve(calling, listener.LocalEndPoint!);
        using Side client = new(caller, calling);
        Assert.Throws<ArgumentException>(() => caller.Connect(Loopback.Parameters, new byte[256]));
        Assert.Throws<VerbsException>(() => caller.Connect(Loopback.Parameters, new byte[255]));
    }
}
