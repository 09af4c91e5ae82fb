using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace RdmaMigration.Verbs.Tests.Rdma;

[Trait("needs", "rdma")]
public sealed class LifetimeTests
{
    private static readonly TimeSpan s_patience = TestHost.Limit;

    public LifetimeTests() => Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork)).Dispose(); // librdmacm keeps the device open from its first use on

    [Fact]
    public void Kernel_tracks_the_objects_that_these_tests_count()
    {
        KernelObjects before = KernelObjects.Count();
        using Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
        KernelObjects live = KernelObjects.Count();
        Assert.Equal(
            (2, 2, 2), (live.QueuePairs - before.QueuePairs, live.CompletionQueues - before.CompletionQueues, live.MemoryRegions - before.MemoryRegions));
        // Three event channels and two completion channels.
        Assert.Equal(5, live.Descriptors - before.Descriptors);
        Assert.InRange(live.Domains - before.Domains, 2, 3);
        Assert.Equal(3, live.Ids - before.Ids);
    }

    [Fact]
    public void Objects_may_be_disposed_in_any_order_and_nothing_is_left()
    {
        KernelObjects before = KernelObjects.Count();
        Random random = new(20261122);
        for (int round = 0; round < 10; round++)
        {
            Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
            IDisposable[] objects = [.. Objects(loopback.Client), .. Objects(loopback.Server), loopback.Listener];
            random.Shuffle(objects);
            foreach (IDisposable item in objects)
            {
                item.Dispose();
            }

            loopback.Dispose();
        }
        Assert.Equal(before, KernelObjects.Count());
    }

    [Fact]
    public void Abandoned_objects_are_destroyed_by_the_collector()
    {
        KernelObjects before = KernelObjects.Count();
        for (int round = 0; round < 5; round++)
        {
            Abandon();
        }

        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal(before, KernelObjects.Count());
    }

    [Fact]
    public void Queue_is_destroyed_with_events_that_nobody_read_or_acknowledged()
    {
        using Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
        Side client = loopback.Client;
        for (int i = 0; i < 3; i++)
        {
            client.Queue.RequestNotification();
            client.Post(SendRequest.RdmaWrite(1, 0, 0, 0, 0, 0, SendOptions.Signaled));
            Assert.True(client.Channel.Wait(s_patience));
            if (i < 2)
            {
                Assert.True(client.Channel.TryGetEvent());
            }

            Assert.Equal(1, client.Queue.Poll(new WorkCompletion[1]));
        }
        Finish(() =>
        {
            client.Pair.Dispose();
            client.Queue.Dispose();
        });
        client.Channel.SetNonBlocking();
        Assert.False(client.Channel.TryGetEvent());
    }

    [Fact]
    public void Id_disposed_before_its_event_is_destroyed_when_the_event_is_acknowledged()
    {
        KernelObjects before = KernelObjects.Count();
        EventChannel channel = EventChannel.Create();
        CmId listener = Loopback.Listen(channel, TestHost.Address(AddressFamily.InterNetwork));
        EventChannel calling = EventChannel.Create();
        CmId caller = CmId.Create(calling);
        caller.ResolveAddress(listener.LocalEndPoint!, s_patience);
        CmEvent resolved = calling.Expect(CmEventType.AddressResolved);
        Finish(() =>
        {
            caller.Dispose();
            calling.Dispose();
            resolved.Dispose();
            resolved.Dispose();
            listener.Dispose();
            channel.Dispose();
        });
        Assert.Equal(before, KernelObjects.Count());
    }

    [Fact]
    public void Events_of_a_disposed_id_are_dropped()
    {
        using Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
        Side server = loopback.Server;
        server.Events.SetNonBlocking();
        // The queue pair keeps the native id, so the event still comes.
        server.Id.Dispose();
        loopback.Client.Id.Disconnect();
        Assert.True(server.Events.Wait(s_patience));
        Assert.False(server.Events.TryGetEvent(out _));
    }

    [Fact]
    public void Use_after_Dispose_is_refused()
    {
        using Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
        Side client = loopback.Client;
        client.Pair.Dispose();
        Assert.Throws<ObjectDisposedException>(() => client.Pair.TryPost(SendRequest.Send(1, 0, 0, 0, SendOptions.None)));
        Assert.Throws<ObjectDisposedException>(() => client.Pair.PostReceive(1, 0, 0, 0));
        Assert.Throws<ObjectDisposedException>(() => client.Pair.Query());
        client.Queue.Dispose();
        Assert.Throws<ObjectDisposedException>(() => client.Queue.Poll(new WorkCompletion[1]));
        Assert.Throws<ObjectDisposedException>(() => client.Queue.RequestNotification());
        client.Id.Dispose();
        Assert.Throws<ObjectDisposedException>(() => client.Id.Disconnect());
        Assert.Throws<ObjectDisposedException>(() => client.Id.LocalEndPoint);
        client.Domain.Dispose();
        Assert.Throws<ObjectDisposedException>(() => client.Domain.Register(client.Address, 1, MemoryAccess.None));
        client.Events.Dispose();
        Assert.Throws<ObjectDisposedException>(() => client.Events.GetEvent());
    }

    [Fact]
    public void Disposing_the_queue_pair_of_a_connection_tells_the_peer()
    {
        using Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
        loopback.Client.Pair.Dispose();
        loopback.Server.Events.Expect(CmEventType.Disconnected).Dispose();
    }

    [Fact]
    public void Memory_can_be_registered_and_deregistered_without_a_trace()
    {
        using Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
        Side client = loopback.Client;
        KernelObjects before = KernelObjects.Count();
        for (int i = 0; i < 100; i++)
        {
            client.Domain.Register(client.Address, Side.BufferLength, MemoryAccess.LocalWrite).Dispose();
        }

        Assert.Equal(before, KernelObjects.Count());
    }

    private static IEnumerable<IDisposable> Objects(Side side) =>
        [side.Pair, side.Queue, side.Channel, side.Region, side.Domain, side.Id, side.Events];

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Abandon() => Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));

    // A wrong order would hang in the native library for ever.
    private static void Finish(Action action)
    {
        Thread thread = new(() => action()) { IsBackground = true };
        thread.Start();
        Assert.True(thread.Join(s_patience), "the native destructor waits for an event that was not acknowledged");
    }
}
