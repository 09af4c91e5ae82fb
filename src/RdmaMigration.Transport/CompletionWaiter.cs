using System.Diagnostics;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>What the <see cref="CompletionWaiter"/> watches. Its methods are called on the waiter's thread only, and must neither block nor throw.</summary>
internal interface IWaitSource
{
    /// <summary>The descriptors to poll for reading; the same ones until the source is removed.</summary>
    ReadOnlySpan<int> Descriptors { get; }

    /// <summary>When <see cref="OnDeadline"/> is due, as a <see cref="Stopwatch"/> timestamp; <see cref="long.MaxValue"/> for never.</summary>
    long Deadline { get; }

    /// <summary>A descriptor is readable.</summary>
    void OnReady(int index);

    /// <summary>The deadline has passed.</summary>
    void OnDeadline(long now);

    /// <summary>A method of this source threw, which is a defect: the source ends itself with the reason.</summary>
    void OnFault(Exception fault);
}

/// <summary>
/// The completion-channel waiter: the thread rdma/wait, sole poller of the connection manager channels and of the send queues' completion channels. It never
/// takes the big lock and never runs anything that waits for the migration thread.
/// </summary>
public sealed class CompletionWaiter : IDisposable
{
    private readonly Thread _thread;
    private readonly int _wake;
    private readonly object _gate = new();
    private readonly List<IWaitSource> _sources = [];
    private long _changes;
    private long _applied;
    private bool _stopping;

    /// <summary>Starts the thread.</summary>
    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public CompletionWaiter()
    {
        _wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (_wake < 0)
        {
            throw new ConnectFailedException($"no descriptor is left to wait with: eventfd: {ErrorText.Of(errno)}");
        }

        _thread = new Thread(Run) { Name = "rdma/wait", IsBackground = true };
        try
        {
            _thread.Start();
        }
        catch
        {
            _ = close(_wake);
            throw;
        }
    }

    /// <summary>Starts to watch. Any thread.</summary>
    internal void Add(IWaitSource source)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping, this);
            _sources.Add(source);
            _changes++;
        }

        Wake();
    }

    /// <summary>Stops to watch. When it returns the waiter is not in the source and will not touch its descriptors again. Any thread.</summary>
    internal void Remove(IWaitSource source)
    {
        lock (_gate)
        {
            if (!_sources.Remove(source))
            {
                return;
            }

            long change = ++_changes;
            if (Thread.CurrentThread == _thread)
            {
                return;
            }

            Wake();
            while (_applied < change && _thread.IsAlive)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    /// <summary>Makes the waiter look at the sources' deadlines again. Any thread.</summary>
    internal unsafe void Wake()
    {
        ulong one = 1;
        // EAGAIN is a counter that is full, so the waiter is awake already.
        _ = write(_wake, &one, sizeof(ulong));
    }

    /// <summary>Ends the thread. The sources must have been removed before.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_stopping)
            {
                return;
            }

            _stopping = true;
        }

        Wake();
        _thread.Join();
        _ = close(_wake);
    }

    private void Run()
    {
        IWaitSource[] sources = [];
        pollfd[] descriptors = [];
        long seen = -1;
        while (!Volatile.Read(ref _stopping))
        {
            if (seen != Volatile.Read(ref _changes))
            {
                lock (_gate)
                {
                    _applied = seen = _changes;
                    sources = [.. _sources];
                    descriptors = Collect(sources);
                    Monitor.PulseAll(_gate);
                }
            }

            Poll(descriptors, Timeout(sources));
            if (descriptors[0].revents != 0)
            {
                DrainWake();
            }

            Dispatch(sources, descriptors, seen);
        }
    }

    private void Dispatch(IWaitSource[] sources, pollfd[] descriptors, long seen)
    {
        int at = 1;
        long now = Stopwatch.GetTimestamp();
        foreach (IWaitSource source in sources)
        {
            int count = source.Descriptors.Length;
            try
            {
                for (int i = 0; i < count; i++)
                {
                    // A handler may remove any source, this one included, and with it close descriptors of this round.
                    if (descriptors[at + i].revents != 0 && !IsStale(seen, source))
                    {
                        source.OnReady(i);
                    }
                }

                if (source.Deadline <= now && !IsStale(seen, source))
                {
                    source.OnDeadline(now);
                }
            }
            catch (Exception fault)
            {
                source.OnFault(fault);
            }

            at += count;
        }
    }

    private bool IsStale(long seen, IWaitSource source)
    {
        if (seen == Volatile.Read(ref _changes))
        {
            return false;
        }

        lock (_gate)
        {
            return !_sources.Contains(source);
        }
    }

    private pollfd[] Collect(IWaitSource[] sources)
    {
        List<pollfd> descriptors = [new pollfd { fd = _wake, events = POLLIN }];
        foreach (IWaitSource source in sources)
        {
            foreach (int descriptor in source.Descriptors)
            {
                descriptors.Add(new pollfd { fd = descriptor, events = POLLIN });
            }
        }

        return [.. descriptors];
    }

    private static int Timeout(IWaitSource[] sources)
    {
        long deadline = long.MaxValue;
        foreach (IWaitSource source in sources)
        {
            deadline = Math.Min(deadline, source.Deadline);
        }

        if (deadline == long.MaxValue)
        {
            return -1;
        }

        double milliseconds = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), deadline).TotalMilliseconds;
        return (int)Math.Clamp(Math.Ceiling(milliseconds), 0, int.MaxValue);
    }

    private static unsafe void Poll(pollfd[] descriptors, int timeout)
    {
        fixed (pollfd* first = descriptors)
        {
            if (poll(first, (uint)descriptors.Length, timeout) < 0)
            {
                // EINTR; every other errno is a defect of ours. Nothing is reported ready, and the next round asks again.
                foreach (ref pollfd descriptor in descriptors.AsSpan())
                {
                    descriptor.revents = 0;
                }
            }
        }
    }

    private unsafe void DrainWake()
    {
        ulong count;
        _ = read(_wake, &count, sizeof(ulong));
    }
}
