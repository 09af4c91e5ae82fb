using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Tests;

/// <summary>Asynchronous events as the library hands them out, without a device.</summary>
public sealed unsafe class AsyncEventTests
{
    [Theory]
    [InlineData(AsyncEventType.PortActive, "IBV_EVENT_PORT_ACTIVE of port 2")]
    [InlineData(AsyncEventType.PortError, "IBV_EVENT_PORT_ERR of port 2")]
    [InlineData(AsyncEventType.LidChange, "IBV_EVENT_LID_CHANGE of port 2")]
    [InlineData(AsyncEventType.PartitionKeyChange, "IBV_EVENT_PKEY_CHANGE of port 2")]
    [InlineData(AsyncEventType.SubnetManagerChange, "IBV_EVENT_SM_CHANGE of port 2")]
    [InlineData(AsyncEventType.ClientReregister, "IBV_EVENT_CLIENT_REREGISTER of port 2")]
    [InlineData(AsyncEventType.GidChange, "IBV_EVENT_GID_CHANGE of port 2")]
    public void Event_of_a_port_has_its_number(AsyncEventType type, string text)
    {
        AsyncEvent happened = new(new ibv_async_event { event_type = (uint)type, element = 2 });
        Assert.Equal((type, 2, text), (happened.Type, happened.Port, happened.ToString()));
    }

    [Theory]
    [InlineData(AsyncEventType.QueuePairFatal)]
    [InlineData(AsyncEventType.QueuePairRequestError)]
    [InlineData(AsyncEventType.QueuePairAccessError)]
    [InlineData(AsyncEventType.CommunicationEstablished)]
    [InlineData(AsyncEventType.SendQueueDrained)]
    [InlineData(AsyncEventType.PathMigrated)]
    [InlineData(AsyncEventType.PathMigrationError)]
    [InlineData(AsyncEventType.LastWorkRequestReached)]
    public void Event_of_a_queue_pair_has_its_number_and_no_port(AsyncEventType type)
    {
        ibv_qp pair = new() { qp_num = 17 };
        AsyncEvent happened = new(new ibv_async_event { event_type = (uint)type, element = (nint)(&pair) });
        Assert.Equal((type, 0), (happened.Type, happened.Port));
        Assert.EndsWith(" of queue pair 17", happened.ToString(), StringComparison.Ordinal);
    }

    /// <summary>The element may be anything then, so nothing may be read from it.</summary>
    [Theory]
    [InlineData((uint)AsyncEventType.DeviceFatal, "IBV_EVENT_DEVICE_FATAL")]
    [InlineData((uint)AsyncEventType.SharedReceiveQueueError, "IBV_EVENT_SRQ_ERR")]
    [InlineData((uint)AsyncEventType.SharedReceiveQueueLimitReached, "IBV_EVENT_SRQ_LIMIT_REACHED")]
    [InlineData((uint)AsyncEventType.WorkQueueFatal, "IBV_EVENT_WQ_FATAL")]
    [InlineData(99, "IBV_EVENT 99")]
    public void Element_of_another_event_is_not_read(uint type, string text)
    {
        AsyncEvent happened = new(new ibv_async_event { event_type = type, element = 1 });
        Assert.Equal(((AsyncEventType)type, 0, text), (happened.Type, happened.Port, happened.ToString()));
    }
}
