namespace RdmaMigration.Verbs;

/// <summary>Queues and sizes of a queue pair. The device may round sizes up.</summary>
public readonly record struct QueuePairOptions
{
    /// <summary>One segment a request, nothing inline.</summary>
    public QueuePairOptions()
    {
    }

    /// <summary>Where sends, writes and reads complete.</summary>
    public required CompletionQueue SendQueue { get; init; }

    /// <summary>Where receives complete. May be the same queue.</summary>
    public required CompletionQueue ReceiveQueue { get; init; }

    /// <summary>Outstanding sends, writes and reads, up to <see cref="DeviceAttributes.MaxWorkRequests"/>.</summary>
    public uint MaxSend { get; init; } = 1;

    /// <summary>Outstanding receives, up to <see cref="DeviceAttributes.MaxWorkRequests"/>.</summary>
    public uint MaxReceive { get; init; } = 1;

    /// <summary>Segments of a send, write or read, up to <see cref="DeviceAttributes.MaxSge"/>.</summary>
    public uint MaxSendSge { get; init; } = 1;

    /// <summary>Segments of a receive, up to <see cref="DeviceAttributes.MaxSge"/>.</summary>
    public uint MaxReceiveSge { get; init; } = 1;

    /// <summary>Bytes that <see cref="SendOptions.Inline"/> can carry.</summary>
    public uint MaxInlineData { get; init; }

    /// <summary>Whether every request completes visibly, as if posted with <see cref="SendOptions.Signaled"/>.</summary>
    public bool SignalAll { get; init; }
}
