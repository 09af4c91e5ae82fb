using System.Diagnostics;
using RdmaMigration.Memory;

namespace RdmaMigration.Engine;

/// <summary>What a query answers about a machine that runs while it is sent. The sending thread writes, any thread reads, under a lock of its own.</summary>
/// <param name="passBegan">Called with the number of each pass that begins; null for nothing.</param>
internal sealed class LiveFigures(Action<int>? passBegan = null)
{
    private readonly RankedLock _gate = new(LockRank.Figures);
    private LiveInfo _info = new();
    private long _stoppedAt;

    /// <summary>The figures.</summary>
    public LiveInfo Snapshot()
    {
        using (_gate.Enter())
        {
            return _stoppedAt != 0 && _info.Downtime is null ? _info with { Downtime = Stopwatch.GetElapsedTime(_stoppedAt) } : _info;
        }
    }

    public void OnTracking(DirtyTracking tracking) => Set(info => info with { Tracking = tracking });

    /// <summary>A pass begins.</summary>
    /// <param name="remaining">Bytes of the pages that it sends.</param>
    public void OnPass(long remaining)
    {
        int pass;
        using (_gate.Enter())
        {
            pass = _info.Iterations + 1;
            _info = _info with { Iterations = pass, Remaining = remaining };
        }

        passBegan?.Invoke(pass);
    }

    /// <summary>A pass is done, and what was written meanwhile is collected.</summary>
    public void OnCollected(long pagesPerSecond, long remaining, double bandwidth, TimeSpan expectedDowntime) => Set(info => info with
    {
        DirtyPagesRate = pagesPerSecond,
        Remaining = remaining,
        Bandwidth = (long)bandwidth,
        ExpectedDowntime = expectedDowntime,
    });

    public void OnThrottle(int percentage) => Set(info => info with { ThrottlePercentage = percentage });

    /// <summary>The machine is asked to stop.</summary>
    public void OnStop()
    {
        using (_gate.Enter())
        {
            _stoppedAt = Stopwatch.GetTimestamp();
        }
    }

    /// <summary>The machine runs again, here or there; or nothing more is known. Nothing when it was not stopped.</summary>
    public void OnEnd()
    {
        using (_gate.Enter())
        {
            if (_stoppedAt != 0)
            {
                _info = _info with { Downtime = _info.Downtime ?? Stopwatch.GetElapsedTime(_stoppedAt) };
            }
        }
    }

    private void Set(Func<LiveInfo, LiveInfo> change)
    {
        using (_gate.Enter())
        {
            _info = change(_info);
        }
    }
}
