using System.Net.Sockets;

namespace RdmaMigration.Verbs.Tests.Rdma;

[Trait("needs", "rdma")]
public sealed class AsyncEventChannelTests
{
    [Fact]
    public void Ids_share_the_channel_of_their_device_and_a_device_that_was_opened_has_its_own()
    {
        using Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
        using DeviceContext opened = TestHost.Device.Open();
        int shared = loopback.Client.Id.Device!.AsyncEvents.FileDescriptor;
        Assert.Equal(shared, loopback.Server.Id.Device!.AsyncEvents.FileDescriptor);
        Assert.NotEqual(shared, opened.AsyncEvents.FileDescriptor);
        opened.AsyncEvents.SetNonBlocking();
        Assert.False(opened.AsyncEvents.TryGetEvent(out _));
        Assert.False(opened.AsyncEvents.Wait(TimeSpan.Zero));
    }

    /// <summary>The kernel reports the queue. It waits for no acknowledgement when the queue is destroyed, since reading the event gave it.</summary>
    [Fact]
    public void A_completion_queue_that_overflows_is_reported_and_can_be_disposed()
    {
        using Loopback loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));
        Side client = loopback.Client;
        AsyncEventChannel events = client.Id.Device!.AsyncEvents;
        events.SetNonBlocking();
        while (events.TryGetEvent(out _))
        {
        }

        long end = Environment.TickCount64 + (long)TestHost.Limit.TotalMilliseconds;
        AsyncEvent happened;
        while (!events.TryGetEvent(out happened))
        {
            Assert.True(Environment.TickCount64 < end, "the completion queue did not overflow");

            // Refused while the send queue is full, and once the queue pair has failed.
            Post(client);
        }

        Assert.Equal(AsyncEventType.CompletionQueueError, happened.Type);
        Assert.Equal((0, "IBV_EVENT_CQ_ERR"), (happened.Port, happened.ToString()));
        Assert.True(happened.Concerns(client.Queue));
        Assert.False(happened.Concerns(loopback.Server.Queue));
        Assert.False(happened.Concerns(client.Pair));
        Thread dispose = new(() =>
        {
            client.Pair.Dispose();
            client.Queue.Dispose();
        });
        dispose.IsBackground = true;
        dispose.Start();
        Assert.True(dispose.Join(TestHost.Limit), "the native destructor waits for an event that was not acknowledged");
    }

    private static void Post(Side side)
    {
        try
        {
            side.Pair.TryPost(SendRequest.RdmaWrite(1, 0, 0, 0, 0, 0, SendOptions.Signaled));
        }
        catch (VerbsException)
        {
        }
    }
}
