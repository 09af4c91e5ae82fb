using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using RdmaMigration.Linux;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>
/// The big lock: whoever changes what monitor commands can see holds it. It is explicit: code that runs with it asserts
/// <see cref="AssertHeld"/>, and every call that can block asserts <see cref="BlockingCalls.AssertAllowed"/>. Not recursive.
/// </summary>
internal sealed class BigLock
{
    private static readonly Meter s_meter = new("RdmaMigration.Engine");

    // Made with the lock, so that no migration waits for it at the lock's first release.
    private readonly Histogram<double> _hold = s_meter.CreateHistogram<double>(
        "rdmamig_biglock_hold_seconds", "s", "How long the big lock was held, by the place that took it.");

    private readonly object _gate = new();
    private string _site = "";
    private long _since;

    /// <summary>The current thread holds it.</summary>
    public bool IsHeld => Monitor.IsEntered(_gate);

    /// <summary>Blocks for the lock.</summary>
    /// <param name="site">The place, for the hold-time histogram.</param>
    /// <exception cref="InvalidOperationException">The thread holds it already.</exception>
    public void Acquire([CallerMemberName] string site = "")
    {
        AssertNotHeld();
        LockOrder.Take(LockRank.BigLock);
        Monitor.Enter(_gate);
        _site = site;
        BlockingCalls.Forbid("the big lock is held");
        _since = Stopwatch.GetTimestamp();
    }

    /// <summary>Releases the lock.</summary>
    /// <exception cref="InvalidOperationException">The thread does not hold it.</exception>
    public void Release()
    {
        AssertHeld();
        double seconds = Stopwatch.GetElapsedTime(_since).TotalSeconds;
        string site = _site;
        BlockingCalls.Allow();
        Monitor.Exit(_gate);
        LockOrder.Release(LockRank.BigLock);
        _hold.Record(seconds, new KeyValuePair<string, object?>("site", site));
    }

    /// <summary>Takes the lock in a function that has its state as a parameter.</summary>
    /// <exception cref="InvalidOperationException">The state is not <see cref="BigLockState.NotHeld"/>, or not the truth.</exception>
    public void Acquire(ref BigLockState state, [CallerMemberName] string site = "")
    {
        Assert(state, site);
        Acquire(site);
        state = BigLockState.Held;
    }

    /// <summary>Releases the lock in a function that has its state as a parameter.</summary>
    /// <exception cref="InvalidOperationException">The state is not <see cref="BigLockState.Held"/>, or not the truth.</exception>
    public void Release(ref BigLockState state, [CallerMemberName] string site = "")
    {
        Assert(state, site);
        Release();
        state = BigLockState.NotHeld;
    }

    /// <summary>States what the caller says about the lock.</summary>
    /// <exception cref="InvalidOperationException">It is not the truth, which is a defect.</exception>
    public void Assert(BigLockState state, [CallerMemberName] string site = "")
    {
        if (state is BigLockState.Held)
        {
            AssertHeld(site);
        }
        else
        {
            AssertNotHeld(site);
        }
    }

    /// <summary>States that the current thread holds the lock.</summary>
    /// <exception cref="InvalidOperationException">It does not, which is a defect.</exception>
    public void AssertHeld([CallerMemberName] string site = "")
    {
        if (!IsHeld)
        {
            throw new InvalidOperationException($"{site} runs without the big lock on thread '{Thread.CurrentThread.Name}'");
        }
    }

    /// <summary>States that the current thread does not hold the lock.</summary>
    /// <exception cref="InvalidOperationException">It does, which is a defect.</exception>
    public void AssertNotHeld([CallerMemberName] string site = "")
    {
        if (IsHeld)
        {
            throw new InvalidOperationException($"{site} runs with the big lock held, taken by {_site}");
        }
    }
}
