using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The connections that have not proved to be a source. Each is watched until its first bytes show what it is, it closes, or its time is over. All calls and
/// callbacks are on the completion waiter's thread, and after <see cref="Stop"/> on the caller's.
/// </summary>
/// <param name="waiter">Watches them.</param>
/// <param name="patience">How long a connection may take to show what it is.</param>
/// <param name="log">For those that never do.</param>
internal sealed class Candidates(CompletionWaiter waiter, TimeSpan patience, ILogger log)
{
    private readonly ILogger _log = log;

    // In the order of their arrival.
    private readonly List<Watch> _watched = [];

    /// <summary>How many there are.</summary>
    public int Count => _watched.Count;

    /// <summary>Called with a connection that is watched no longer since it has shown what it is.</summary>
    public required Action<Candidate, ConnectionKind> Shown { get; init; }

    /// <summary>Whether a connection may be silent without end.</summary>
    public required Func<Candidate, bool> MayBeSilent { get; init; }

    /// <summary>Watches one more.</summary>
    public void Add(Candidate candidate)
    {
        Watch watch = new(this, candidate, Deadline.After(patience));
        _watched.Add(watch);
        waiter.Add(watch);
    }

    /// <summary>Looks at what has come from each since the last look.</summary>
    public void LookAtAll()
    {
        foreach (Watch watch in (Watch[])[.. _watched])
        {
            OnReady(watch);
        }
    }

    /// <summary>Whether one fits.</summary>
    public bool Any(Predicate<Candidate> fits) => _watched.Exists(watch => fits(watch.Candidate));

    /// <summary>Takes out the first that fits; null when none does.</summary>
    public Candidate? Take(Predicate<Candidate> fits)
    {
        if (_watched.Find(watch => fits(watch.Candidate)) is not { } found)
        {
            return null;
        }

        Forget(found);
        return found.Candidate;
    }

    /// <summary>Watches none any more.</summary>
    /// <returns>Those that there were, with what they have shown by now. The caller closes them.</returns>
    public IReadOnlyList<(Candidate Candidate, ConnectionKind Kind)> Stop()
    {
        Watch[] all = [.. _watched];
        foreach (Watch watch in all)
        {
            Forget(watch);
        }

        return [.. all.Select(watch => (watch.Candidate, watch.Candidate.Look()))];
    }

    private void OnReady(Watch watch)
    {
        if (!_watched.Contains(watch))
        {
            // What another one has shown has put an end to it.
            return;
        }

        Candidate candidate = watch.Candidate;
        ConnectionKind kind = candidate.Look();
        if (kind is not ConnectionKind.Unknown)
        {
            Forget(watch);
            Shown(candidate, kind);
        }
        else if (candidate.HasGone)
        {
            Forget(watch);
            if (candidate.Refusal is { } refusal)
            {
                // Reset: a source may have finished its handshake, and what it has written since must fail there.
                ListenerLog.Rejected(_log, candidate.Peer, refusal);
                candidate.Reset();
            }
            else
            {
                SocketListenerLog.Gone(_log, candidate.Peer, candidate.First.Length);
                candidate.Dispose();
            }
        }
    }

    private void OnOverdue(Watch watch)
    {
        Forget(watch);
        SocketListenerLog.Silent(_log, watch.Candidate.Peer, patience.TotalSeconds);
        watch.Candidate.Reset();
    }

    private void Forget(Watch watch)
    {
        _watched.Remove(watch);
        waiter.Remove(watch);
    }

    private sealed class Watch(Candidates candidates, Candidate candidate, Deadline deadline) : IWaitSource
    {
        private readonly int[] _descriptors = [candidate.Number];

        public Candidate Candidate => candidate;

        public ReadOnlySpan<int> Descriptors => _descriptors;

        public Deadline Deadline => candidates.MayBeSilent(candidate) ? Deadline.Never : deadline;

        public void OnReady(int index) => candidates.OnReady(this);

        public void OnDeadline(long now) => candidates.OnOverdue(this);

        public void OnFault(Exception fault)
        {
            ListenerLog.Fault(candidates._log, fault);
            candidates.Forget(this);
            candidate.Reset();
        }
    }
}
