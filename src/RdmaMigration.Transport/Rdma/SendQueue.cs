using System.Diagnostics;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>Receives the completions of the requests that it posted to a <see cref="SendQueue"/>.</summary>
internal interface ISendLane
{
    /// <summary>A request completed. Called with the queue's lock held, on the connection's thread or the waiter's; it must not block or take a lock.</summary>
    /// <param name="value">The value of the request's id.</param>
    void OnSent(ulong value);
}

/// <summary>
/// The send side of one queue pair. Several lanes post to it; each gets its own completions. One thread posts for the lanes, the keepalive probe comes from the
/// waiter's thread, and both threads reap completions.
/// </summary>
internal sealed class SendQueue(VerbsResources verbs, ConnectionState state, int depth)
{
    private const int LaneBits = 4;

    private readonly object _gate = new();
    private readonly WorkCompletion[] _completions = new WorkCompletion[16];
    private readonly List<ISendLane> _lanes = [];
    private int _sinceSignal;

    /// <summary>
    /// The next request must ask for a completion. A full queue then always holds a request whose completion says that there is room, and completions that
    /// nobody needs rarely wake the waiter.
    /// </summary>
    public bool NeedsSignal => _sinceSignal + 1 >= depth / 4;

    /// <summary>Adds a lane before its first request. The lane's number is part of the ids of its requests.</summary>
    public int Add(ISendLane lane)
    {
        lock (_gate)
        {
            Debug.Assert(_lanes.Count < 1 << LaneBits, "an id has no room for another lane");
            _lanes.Add(lane);
            return _lanes.Count - 1;
        }
    }

    /// <summary>A request's id: the lane that posts it, and 60 bits that come back to the lane.</summary>
    public static ulong Id(int lane, ulong value) => (value << LaneBits) | (uint)lane;

    /// <summary>Posts a request of the connection's thread; false when the queue is full.</summary>
    /// <exception cref="ConnectionLostException">The device refuses requests: the queue pair is broken.</exception>
    public bool TryPost(in SendRequest request, bool signaled)
    {
        if (!TryPostUncounted(request))
        {
            return false;
        }

        _sinceSignal = signaled ? 0 : _sinceSignal + 1;
        return true;
    }

    /// <summary>Posts a request of any thread, which must ask for a completion; false when the queue is full.</summary>
    /// <exception cref="ConnectionLostException">The device refuses requests: the queue pair is broken.</exception>
    public bool TryPostUncounted(in SendRequest request)
    {
        try
        {
            return verbs.QueuePair.TryPost(request);
        }
        catch (VerbsException refused)
        {
            throw Refused(refused);
        }
    }

    /// <summary>
    /// The device takes no more requests: the queue pair is broken. A completion that nobody has reaped may know the reason, and the first reason stays. A
    /// shutdown by this side breaks no queue pair, so then the device's own error is reported.
    /// </summary>
    public ConnectionLostException Refused(VerbsException refused)
    {
        Reap();
        string message = $"the connection with {state.Peer}: {refused.Message}";
        state.Fail(ConnectionLoss.TransportError, message);
        return state.Lost is { Loss: not ConnectionLoss.Shutdown } lost
            ? new ConnectionLostException(lost.Loss, lost.Message, lost.DetectedAt)
            : new ConnectionLostException(ConnectionLoss.TransportError, message, Stopwatch.GetTimestamp());
    }

    /// <summary>Takes completions and hands them to their lanes. The connection's thread and the waiter's do.</summary>
    public void Reap()
    {
        long all = 0;
        lock (_gate)
        {
            int count;
            while ((count = Poll()) > 0)
            {
                all += count;
                state.Touch();
                foreach (ref readonly WorkCompletion completion in _completions.AsSpan(0, count))
                {
                    Dispatch(completion);
                }

                state.Parking.Set();
            }
        }

        if (all > 0)
        {
            TransportMetrics.OnCompletions(all);
        }
    }

    /// <summary>Asks for an event when the next request completes.</summary>
    /// <exception cref="VerbsException">The device refuses.</exception>
    public void Arm() => verbs.SendQueue.RequestNotification();

    /// <summary>The completion channel is readable. On the waiter's thread.</summary>
    public void OnReadable()
    {
        verbs.SendChannel.TryGetEvent();
        Arm();
        Reap();
    }

    private int Poll()
    {
        try
        {
            return verbs.SendQueue.Poll(_completions);
        }
        catch (VerbsException gone)
        {
            state.FailByDevice(gone);
            return 0;
        }
    }

    private void Dispatch(in WorkCompletion completion)
    {
        if (completion.IsSuccess)
        {
            _lanes[(int)(completion.Id & ((1 << LaneBits) - 1))].OnSent(completion.Id >> LaneBits);
        }
        else
        {
            state.FailBy(completion, "send");
        }
    }
}
