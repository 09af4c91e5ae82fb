using Microsoft.Extensions.Logging;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>Sources that wait for their turn, in the order of their requests. For one thread at a time, except where a member says otherwise.</summary>
/// <param name="most">How many may wait.</param>
/// <param name="log">For those that are rejected.</param>
internal sealed class RequestBacklog(int most, ILogger log)
{
    private readonly Queue<ConnectionRequest> _waiting = new();

    /// <summary>How many wait.</summary>
    public int Count => _waiting.Count;

    /// <summary>Lets a source wait; false when there is no room.</summary>
    public bool TryAdd(ConnectionRequest request)
    {
        if (_waiting.Count >= most)
        {
            return false;
        }

        _waiting.Enqueue(request);
        return true;
    }

    /// <summary>The source whose turn it is; null when none waits.</summary>
    public ConnectionRequest? Take() => _waiting.TryDequeue(out ConnectionRequest? next) ? next : null;

    /// <summary>Rejects all that wait.</summary>
    public void RejectAll(string reason)
    {
        while (Take() is { } waiting)
        {
            Reject(waiting, reason);
        }
    }

    /// <summary>Rejects a source that does not wait, and logs why. Any thread.</summary>
    public void Reject(ConnectionRequest request, string reason)
    {
        ListenerLog.Rejected(log, request.Peer, reason);
        try
        {
            request.Reject(reason);
        }
        catch (VerbsException gone)
        {
            ListenerLog.EventIgnored(log, "reject: " + gone.Message, 0);
        }
    }
}
