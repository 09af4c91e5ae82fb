using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>What happened to a device, or to an object on it.</summary>
public enum AsyncEventType
{
    /// <summary>A completion queue failed, for example because it overflowed.</summary>
    CompletionQueueError = 0,

    /// <summary>A queue pair failed.</summary>
    QueuePairFatal = 1,

    /// <summary>The peer sent a queue pair a request that is not valid.</summary>
    QueuePairRequestError = 2,

    /// <summary>The peer asked a queue pair for an access that its memory regions do not allow.</summary>
    QueuePairAccessError = 3,

    /// <summary>A queue pair received before the connection manager had established its connection.</summary>
    CommunicationEstablished = 4,

    /// <summary>All requests of a queue pair that was told to drain are done.</summary>
    SendQueueDrained = 5,

    /// <summary>A connection moved to its alternate path.</summary>
    PathMigrated = 6,

    /// <summary>A connection could not move to its alternate path.</summary>
    PathMigrationError = 7,

    /// <summary>The device failed or was removed: dispose everything that was made from it.</summary>
    DeviceFatal = 8,

    /// <summary>The link of a port is up.</summary>
    PortActive = 9,

    /// <summary>The link of a port is down.</summary>
    PortError = 10,

    /// <summary>A port has another LID.</summary>
    LidChange = 11,

    /// <summary>The table of partition keys of a port changed.</summary>
    PartitionKeyChange = 12,

    /// <summary>A port has another subnet manager.</summary>
    SubnetManagerChange = 13,

    /// <summary>A shared receive queue failed.</summary>
    SharedReceiveQueueError = 14,

    /// <summary>A shared receive queue has fewer receives than its limit.</summary>
    SharedReceiveQueueLimitReached = 15,

    /// <summary>A failed queue pair takes no more receives from its shared receive queue.</summary>
    LastWorkRequestReached = 16,

    /// <summary>The subnet manager asks the clients of a port to register again.</summary>
    ClientReregister = 17,

    /// <summary>The GID table of a port changed.</summary>
    GidChange = 18,

    /// <summary>A work queue failed.</summary>
    WorkQueueFatal = 19,
}

/// <summary>An asynchronous event that was read from a device's <see cref="AsyncEventChannel"/>. It holds nothing native and is acknowledged already.</summary>
public readonly unsafe struct AsyncEvent
{
    private readonly uint _queuePair;
    private readonly nint _queue;

    /// <summary>Copies what the event names. Before it is acknowledged: until then the objects are not destroyed.</summary>
    internal AsyncEvent(in ibv_async_event native)
    {
        Type = (AsyncEventType)native.event_type;
        switch (Type)
        {
            case AsyncEventType.CompletionQueueError:
                _queue = ((ibv_cq*)native.element)->cq_context;
                break;
            case AsyncEventType.QueuePairFatal or AsyncEventType.QueuePairRequestError or AsyncEventType.QueuePairAccessError
                or AsyncEventType.CommunicationEstablished or AsyncEventType.SendQueueDrained or AsyncEventType.PathMigrated
                or AsyncEventType.PathMigrationError or AsyncEventType.LastWorkRequestReached:
                _queuePair = ((ibv_qp*)native.element)->qp_num;
                break;
            case AsyncEventType.PortActive or AsyncEventType.PortError or AsyncEventType.LidChange or AsyncEventType.PartitionKeyChange
                or AsyncEventType.SubnetManagerChange or AsyncEventType.ClientReregister or AsyncEventType.GidChange:
                Port = (int)native.element;
                break;
            default:
                break;
        }
    }

    /// <summary>What happened. A newer library than this one may report other values.</summary>
    public AsyncEventType Type { get; }

    /// <summary>The port that it happened to, from 1; 0 for an event of something else.</summary>
    public int Port { get; }

    /// <summary>Whether it happened to this queue pair.</summary>
    public bool Concerns(QueuePair queuePair) => _queuePair != 0 && _queuePair == queuePair.Number;

    /// <summary>Whether it happened to this completion queue.</summary>
    public bool Concerns(CompletionQueue queue) => _queue != 0 && _queue == queue.Handle.Key;

    /// <inheritdoc/>
    public override string ToString() => this switch
    {
        { Port: > 0 } => $"{NativeName(Type)} of port {Port}",
        { _queuePair: > 0 } => $"{NativeName(Type)} of queue pair {_queuePair}",
        _ => NativeName(Type),
    };

    private static string NativeName(AsyncEventType type) => type switch
    {
        AsyncEventType.CompletionQueueError => "IBV_EVENT_CQ_ERR",
        AsyncEventType.QueuePairFatal => "IBV_EVENT_QP_FATAL",
        AsyncEventType.QueuePairRequestError => "IBV_EVENT_QP_REQ_ERR",
        AsyncEventType.QueuePairAccessError => "IBV_EVENT_QP_ACCESS_ERR",
        AsyncEventType.CommunicationEstablished => "IBV_EVENT_COMM_EST",
        AsyncEventType.SendQueueDrained => "IBV_EVENT_SQ_DRAINED",
        AsyncEventType.PathMigrated => "IBV_EVENT_PATH_MIG",
        AsyncEventType.PathMigrationError => "IBV_EVENT_PATH_MIG_ERR",
        AsyncEventType.DeviceFatal => "IBV_EVENT_DEVICE_FATAL",
        AsyncEventType.PortActive => "IBV_EVENT_PORT_ACTIVE",
        AsyncEventType.PortError => "IBV_EVENT_PORT_ERR",
        AsyncEventType.LidChange => "IBV_EVENT_LID_CHANGE",
        AsyncEventType.PartitionKeyChange => "IBV_EVENT_PKEY_CHANGE",
        AsyncEventType.SubnetManagerChange => "IBV_EVENT_SM_CHANGE",
        AsyncEventType.SharedReceiveQueueError => "IBV_EVENT_SRQ_ERR",
        AsyncEventType.SharedReceiveQueueLimitReached => "IBV_EVENT_SRQ_LIMIT_REACHED",
        AsyncEventType.LastWorkRequestReached => "IBV_EVENT_QP_LAST_WQE_REACHED",
        AsyncEventType.ClientReregister => "IBV_EVENT_CLIENT_REREGISTER",
        AsyncEventType.GidChange => "IBV_EVENT_GID_CHANGE",
        AsyncEventType.WorkQueueFatal => "IBV_EVENT_WQ_FATAL",
        _ => $"IBV_EVENT {(uint)type}",
    };
}
