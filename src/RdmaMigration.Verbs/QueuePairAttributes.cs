namespace RdmaMigration.Verbs;

/// <summary>State of a queue pair.</summary>
public enum QueuePairState
{
    /// <summary>Just created, or reset.</summary>
    Reset = 0,

    /// <summary>Takes receives.</summary>
    Initialized = 1,

    /// <summary>Receives.</summary>
    ReadyToReceive = 2,

    /// <summary>Receives and sends.</summary>
    ReadyToSend = 3,

    /// <summary>The send queue is drained.</summary>
    SendQueueDrained = 4,

    /// <summary>The send queue failed.</summary>
    SendQueueError = 5,

    /// <summary>Failed: all outstanding requests complete as flushed.</summary>
    Error = 6,

    /// <summary>Not known.</summary>
    Unknown = 7,
}

/// <summary>Which attributes <see cref="QueuePair.Modify"/> sets. Values are the native ones.</summary>
[Flags]
public enum QueuePairAttributeMask
{
    /// <summary><see cref="QueuePairAttributes.State"/>.</summary>
    State = 1 << 0,

    /// <summary><see cref="QueuePairAttributes.Timeout"/>.</summary>
    Timeout = 1 << 9,

    /// <summary><see cref="QueuePairAttributes.RetryCount"/>.</summary>
    RetryCount = 1 << 10,

    /// <summary><see cref="QueuePairAttributes.RnrRetryCount"/>.</summary>
    RnrRetryCount = 1 << 11,

    /// <summary><see cref="QueuePairAttributes.MinRnrTimer"/>.</summary>
    MinRnrTimer = 1 << 15,
}

/// <summary>Attributes of a queue pair.</summary>
public readonly record struct QueuePairAttributes
{
    /// <summary>State.</summary>
    public QueuePairState State { get; init; }

    /// <summary>Payload of a packet, in bytes.</summary>
    public int PathMtu { get; init; }

    /// <summary>The number of the peer's queue pair.</summary>
    public uint RemoteNumber { get; init; }

    /// <summary>Wait for an answer before a request is repeated: 4.096 µs times 2 to this power; 0 waits for ever.</summary>
    public byte Timeout { get; init; }

    /// <summary>How often an unanswered request is repeated, 0 to 7.</summary>
    public byte RetryCount { get; init; }

    /// <summary>How often a send is repeated that finds no receive at the peer, 0 to 6; 7 for ever.</summary>
    public byte RnrRetryCount { get; init; }

    /// <summary>How long the peer is told to wait when no receive is posted here, as the InfiniBand code 0 to 31.</summary>
    public byte MinRnrTimer { get; init; }

    /// <summary>RDMA reads and atomics in flight.</summary>
    public byte InitiatorDepth { get; init; }

    /// <summary>RDMA reads and atomics answered at a time.</summary>
    public byte ResponderResources { get; init; }
}
