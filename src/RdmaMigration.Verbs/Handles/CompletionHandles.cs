using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Handles;

/// <summary>Knows the queues that report to it, by the key that each carries as its context.</summary>
internal sealed class CompletionChannelHandle(nint native, VerbsHandle device) : VerbsHandle(native, device)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<nint, WeakReference<CompletionQueue>> _queues = [];

    protected override int Destroy(nint native) => LibIbVerbs.ibv_destroy_comp_channel(native);

    internal void Add(nint key, CompletionQueue owner)
    {
        lock (_lock)
        {
            _queues.Add(key, new WeakReference<CompletionQueue>(owner));
        }
    }

    /// <summary>Null when the queue is on its way out.</summary>
    internal CompletionQueue? Find(nint key)
    {
        lock (_lock)
        {
            return _queues.TryGetValue(key, out WeakReference<CompletionQueue>? queue) && queue.TryGetTarget(out CompletionQueue? owner) ? owner : null;
        }
    }

    internal void Remove(nint key)
    {
        lock (_lock)
        {
            _queues.Remove(key);
        }
    }
}

internal sealed class CompletionQueueHandle : VerbsHandle
{
    private static long s_lastKey;

    private readonly CompletionChannelHandle? _channel;

    internal CompletionQueueHandle(nint native, VerbsHandle device, nint key)
        : base(native, device) => Key = key;

    internal CompletionQueueHandle(nint native, VerbsHandle device, CompletionChannelHandle channel, nint key)
        : base(native, device, channel)
    {
        _channel = channel;
        Key = key;
    }

    /// <summary>The native queue's context, which no other queue of this process ever has.</summary>
    internal nint Key { get; }

    internal static nint NextKey() => (nint)Interlocked.Increment(ref s_lastKey);

    protected override int Destroy(nint native)
    {
        _channel?.Remove(Key);
        return LibIbVerbs.ibv_destroy_cq(native);
    }
}
