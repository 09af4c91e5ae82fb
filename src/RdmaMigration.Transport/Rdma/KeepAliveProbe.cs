using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// A write of no bytes: the peer's program never sees it, the peer's device must acknowledge it, and if none does the transport's retries end with an error
/// completion. On the waiter's thread.
/// </summary>
internal sealed class KeepAliveProbe : ISendLane
{
    private readonly SendQueue _sends;
    private int _lane;
    private bool _outstanding;

    private KeepAliveProbe(SendQueue sends) => _sends = sends;

    public static KeepAliveProbe Create(SendQueue sends)
    {
        KeepAliveProbe probe = new(sends);
        probe._lane = sends.Add(probe);
        return probe;
    }

    /// <summary>Sends a probe unless one is under way. A full queue needs none: it is waiting for the peer's device anyway.</summary>
    /// <exception cref="ConnectionLostException">The device refuses requests.</exception>
    public void Send()
    {
        if (Volatile.Read(ref _outstanding))
        {
            return;
        }

        // Set before the post: another thread may reap the completion before the post returns.
        Volatile.Write(ref _outstanding, true);
        if (!_sends.TryPostUncounted(SendRequest.RdmaWrite(SendQueue.Id(_lane, 0), 0, 0, 0, 0, 0, SendOptions.Signaled)))
        {
            Volatile.Write(ref _outstanding, false);
        }
    }

    /// <inheritdoc/>
    public void OnSent(ulong value) => Volatile.Write(ref _outstanding, false);
}
