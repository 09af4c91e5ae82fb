using System.Diagnostics;

namespace RdmaMigration.Engine;

/// <summary>
/// The main loop: the one thread that dispatches bottom halves and timers, each with the big lock held. Teardown and exit happen here and nowhere else.
/// </summary>
public sealed class MainLoop
{
    private readonly object _gate = new();
    private readonly Queue<Action> _bottomHalves = new();
    private readonly List<MainLoopTimer> _timers = [];
    private Thread? _thread;
    private int? _exitCode;

    /// <summary>The lock that is held while anything is dispatched.</summary>
    public BigLock Lock { get; } = new();

    /// <summary>The current thread is the one that runs the loop.</summary>
    public bool IsMainThread => Thread.CurrentThread == Volatile.Read(ref _thread);

    /// <summary>Runs until <see cref="Quit"/>; the current thread becomes the main thread.</summary>
    /// <returns>The exit code that was asked for.</returns>
    public int Run()
    {
        Volatile.Write(ref _thread, Thread.CurrentThread);
        while (true)
        {
            Action? next = Next();
            if (next is null)
            {
                return _exitCode!.Value;
            }

            Lock.Acquire("main");
            try
            {
                next();
            }
            finally
            {
                Lock.Release();
            }
        }
    }

    /// <summary>Has <paramref name="bottomHalf"/> called on the main thread with the big lock held, after those scheduled before. Any thread.</summary>
    public void Schedule(Action bottomHalf)
    {
        lock (_gate)
        {
            _bottomHalves.Enqueue(bottomHalf);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Has <paramref name="expired"/> called on the main thread with the big lock held, once, unless the timer is disposed before. Any thread.</summary>
    public IDisposable StartTimer(TimeSpan after, Action expired)
    {
        MainLoopTimer timer = new(this, Stopwatch.GetTimestamp() + (long)(after.TotalSeconds * Stopwatch.Frequency), expired);
        lock (_gate)
        {
            _timers.Add(timer);
            Monitor.Pulse(_gate);
        }

        return timer;
    }

    /// <summary>
    /// Runs something that blocks, such as a join, in the midst of a bottom half: the big lock is dropped around it and taken again.
    /// </summary>
    public void WithoutLock(Action blocking)
    {
        Lock.AssertHeld();
        Lock.Release();
        try
        {
            blocking();
        }
        finally
        {
            Lock.Acquire("main");
        }
    }

    /// <summary>Ends <see cref="Run"/> once the bottom halves scheduled before have run. The first exit code stays. Any thread.</summary>
    public void Quit(int exitCode)
    {
        lock (_gate)
        {
            _exitCode ??= exitCode;
            Monitor.Pulse(_gate);
        }
    }

    private Action? Next()
    {
        lock (_gate)
        {
            while (true)
            {
                if (_bottomHalves.TryDequeue(out Action? bottomHalf))
                {
                    return bottomHalf;
                }

                if (_exitCode is not null)
                {
                    return null;
                }

                MainLoopTimer? first = _timers.MinBy(timer => timer.Due);
                TimeSpan wait = first is null ? Timeout.InfiniteTimeSpan : Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), first.Due);
                if (first is not null && wait <= TimeSpan.Zero)
                {
                    _timers.Remove(first);
                    return first.Expired;
                }

                Monitor.Wait(_gate, first is null ? wait : wait + TimeSpan.FromMilliseconds(1));
            }
        }
    }

    private sealed class MainLoopTimer(MainLoop loop, long due, Action expired) : IDisposable
    {
        public long Due => due;

        public Action Expired => expired;

        public void Dispose()
        {
            lock (loop._gate)
            {
                loop._timers.Remove(this);
            }
        }
    }
}
