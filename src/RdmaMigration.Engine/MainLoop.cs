using RdmaMigration.Linux;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>
/// The main loop: the one thread that dispatches bottom halves and timers, each with the big lock held. Teardown and exit happen here and nowhere else.
/// </summary>
internal sealed class MainLoop
{
    private const string MainSite = "main";

    private readonly object _gate = new();
    private readonly Queue<BottomHalf> _bottomHalves = new();
    private readonly List<MainLoopTimer> _timers = [];
    private Thread? _thread;
    private bool _isQuitting;
    private bool _hasEnded;

    /// <summary>The lock that is held while anything is dispatched.</summary>
    public BigLock Lock { get; } = new();

    /// <summary>The current thread is the one that runs the loop.</summary>
    public bool IsMainThread => Thread.CurrentThread == Volatile.Read(ref _thread);

    /// <summary>
    /// Runs until <see cref="Quit"/>; the current thread becomes the main thread. A scheduled bottom half that throws ends it with that exception.
    /// </summary>
    public void Run()
    {
        Volatile.Write(ref _thread, Thread.CurrentThread);
        while (Next() is { } next)
        {
            BigLockState state = BigLockState.NotHeld;
            Lock.Acquire(ref state, next.Site);
            try
            {
                next.Call();
            }
            finally
            {
                Lock.Release(ref state);
            }
        }
    }

    /// <summary>Has <paramref name="bottomHalf"/> called on the main thread with the big lock held, after those scheduled before. Any thread.</summary>
    /// <param name="bottomHalf">What is called.</param>
    /// <param name="site">What it is, for the lock's hold time.</param>
    public void Schedule(Action bottomHalf, string site = MainSite)
    {
        lock (_gate)
        {
            _bottomHalves.Enqueue(new BottomHalf(bottomHalf, site));
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Asks the main thread: the function runs there like a bottom half, and the task gets its result or its exception. Any thread.</summary>
    /// <returns>Cancelled when the loop has ended before.</returns>
    public Task<T> InvokeAsync<T>(Func<T> bottomHalf, string site = MainSite)
    {
        ArgumentNullException.ThrowIfNull(bottomHalf);
        TaskCompletionSource<T> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_hasEnded)
            {
                return Task.FromCanceled<T>(new CancellationToken(canceled: true));
            }

            _bottomHalves.Enqueue(new BottomHalf(Answer, site));
            Monitor.Pulse(_gate);
        }

        return answer.Task;

        void Answer()
        {
            try
            {
                answer.SetResult(bottomHalf());
            }
            catch (Exception failed)
            {
                answer.SetException(failed);
            }
        }
    }

    /// <summary>Asks the main thread to do something; the task ends with it, and gets its exception. Any thread.</summary>
    public Task InvokeAsync(Action bottomHalf)
    {
        ArgumentNullException.ThrowIfNull(bottomHalf);
        return InvokeAsync(() =>
        {
            bottomHalf();
            return true;
        });
    }

    /// <summary>Has the main thread do something, and waits for it. Not the main thread, without the lock.</summary>
    /// <param name="bottomHalf">What is done there, with the lock held. What it throws is thrown here.</param>
    /// <param name="site">What it is, for the lock's hold time.</param>
    /// <exception cref="OperationCanceledException">The loop has ended before.</exception>
    public T Invoke<T>(Func<T> bottomHalf, string site)
    {
        BlockingCalls.AssertAllowed();
        return InvokeAsync(bottomHalf, site).GetAwaiter().GetResult();
    }

    /// <summary>
    /// Has <paramref name="expired"/> called on the main thread with the big lock held, once, unless the timer is stopped before. Any thread.
    /// </summary>
    /// <param name="after">When.</param>
    /// <param name="expired">What.</param>
    /// <param name="owner">For <see cref="StopTimers"/>; null for none.</param>
    /// <returns>Stops the timer.</returns>
    public IDisposable StartTimer(TimeSpan after, Action expired, object? owner = null)
    {
        MainLoopTimer timer = new(this, Deadline.After(after), expired, owner);
        lock (_gate)
        {
            _timers.Add(timer);
            Monitor.Pulse(_gate);
        }

        return timer;
    }

    /// <summary>Stops all timers of an owner. Any thread.</summary>
    public void StopTimers(object owner)
    {
        lock (_gate)
        {
            _timers.RemoveAll(timer => timer.Owner == owner);
        }
    }

    /// <summary>Runs a call that blocks, such as a join, inside a bottom half: releases the big lock around it.</summary>
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
            Lock.Acquire(MainSite);
        }
    }

    /// <summary>Ends <see cref="Run"/> after the bottom halves that are scheduled already. Any thread.</summary>
    public void Quit()
    {
        lock (_gate)
        {
            _isQuitting = true;
            Monitor.Pulse(_gate);
        }
    }

    private BottomHalf? Next()
    {
        lock (_gate)
        {
            while (true)
            {
                if (_bottomHalves.TryDequeue(out BottomHalf bottomHalf))
                {
                    return bottomHalf;
                }

                if (_isQuitting)
                {
                    _hasEnded = true;
                    return null;
                }

                MainLoopTimer? first = _timers.MinBy(timer => timer.Due);
                if (first is { Due.HasPassed: true })
                {
                    _timers.Remove(first);
                    return new BottomHalf(first.Expired, MainSite);
                }

                Monitor.Wait(_gate, first?.Due.Milliseconds ?? Timeout.Infinite);
            }
        }
    }

    private readonly record struct BottomHalf(Action Call, string Site);

    private sealed class MainLoopTimer(MainLoop loop, Deadline due, Action expired, object? owner) : IDisposable
    {
        public Deadline Due => due;

        public Action Expired => expired;

        public object? Owner => owner;

        public void Dispose()
        {
            lock (loop._gate)
            {
                loop._timers.Remove(this);
            }
        }
    }
}
