using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Handles;

/// <summary>
/// Knows the queues that report to it, by the key that each carries as its context, and how many of a queue's events are
/// still to be acknowledged.
/// </summary>
internal sealed class CompletionChannelHandle(nint native, VerbsHandle device) : VerbsHandle(native, device)
{
    // An acknowledgement takes the queue's mutex, so they are given in batches.
    private const uint AcknowledgeBatch = 64;

    private readonly Lock _lock = new();
    private readonly Dictionary<nint, Reporter> _reporters = [];

    protected override int Destroy(nint native) => LibIbVerbs.ibv_destroy_comp_channel(native);

    internal void Add(nint key, CompletionQueue owner)
    {
        lock (_lock)
            _reporters.Add(key, new Reporter(owner));
    }

    /// <summary>Counts an event that was read from the channel. Null when the queue is on its way out.</summary>
    internal CompletionQueue? Count(nint queue, nint key)
    {
        lock (_lock)
        {
            Reporter reporter = _reporters[key];
            reporter.Unacknowledged++;
            if (reporter.Closing || reporter.Unacknowledged >= AcknowledgeBatch)
                Acknowledge(queue, reporter);
            return reporter.Closing || !reporter.Owner.TryGetTarget(out CompletionQueue? owner) ? null : owner;
        }
    }

    /// <summary>Acknowledges what is outstanding, and from now on every event at once: destroy_cq waits for all of them.</summary>
    internal void BeginRemove(nint queue, nint key)
    {
        lock (_lock)
        {
            Reporter reporter = _reporters[key];
            reporter.Closing = true;
            if (reporter.Unacknowledged > 0)
                Acknowledge(queue, reporter);
        }
    }

    /// <summary>Forgets a queue that is destroyed: no event of it can be read any more.</summary>
    internal void EndRemove(nint key)
    {
        lock (_lock)
            _reporters.Remove(key);
    }

    private static void Acknowledge(nint queue, Reporter reporter)
    {
        LibIbVerbs.ibv_ack_cq_events(queue, reporter.Unacknowledged);
        reporter.Unacknowledged = 0;
    }

    private sealed class Reporter(CompletionQueue owner)
    {
        public WeakReference<CompletionQueue> Owner { get; } = new(owner);
        public uint Unacknowledged { get; set; }
        public bool Closing { get; set; }
    }
}

internal sealed class CompletionQueueHandle : VerbsHandle
{
    private static long s_lastKey;

    private readonly CompletionChannelHandle? _channel;
    private readonly nint _key;

    internal CompletionQueueHandle(nint native, VerbsHandle device)
        : base(native, device)
    {
    }

    internal CompletionQueueHandle(nint native, VerbsHandle device, CompletionChannelHandle channel, nint key)
        : base(native, device, channel)
    {
        _channel = channel;
        _key = key;
    }

    internal static nint NextKey() => (nint)Interlocked.Increment(ref s_lastKey);

    protected override int Destroy(nint native)
    {
        _channel?.BeginRemove(native, _key);
        int error = LibIbVerbs.ibv_destroy_cq(native);
        _channel?.EndRemove(_key);
        return error;
    }
}
