using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>What the <see cref="CompletionWaiter"/> watches. Its methods are called on the waiter's thread only, and must neither block nor throw.</summary>
internal interface IWaitSource
{
    /// <summary>
    /// The descriptors to poll for reading, a negative one is passed over. The same ones until the source is removed, but for <see cref="OnClosed"/>.
    /// </summary>
    ReadOnlySpan<int> Descriptors { get; }

    /// <summary>When <see cref="OnDeadline"/> is due.</summary>
    Deadline Deadline { get; }

    /// <summary>A descriptor is readable.</summary>
    void OnReady(int index);

    /// <summary>
    /// A descriptor reports an error or a hang-up and has nothing to read: the kernel has closed what is behind it. It would be reported for ever, so the
    /// source makes it negative, or ends.
    /// </summary>
    void OnClosed(int index) => OnReady(index);

    /// <summary>The deadline has passed.</summary>
    void OnDeadline(long now);

    /// <summary>A method of this source threw, which is a defect: the source ends itself with the reason.</summary>
    void OnFault(Exception fault);

    /// <summary>The waiter has ended and this source was not removed. On the thread that disposes the waiter; may block.</summary>
    void OnStopped()
    {
    }
}

/// <summary>
/// The completion-channel waiter: the thread rdma/wait, the only thread that polls CM event channels, listening sockets, the send queues' completion channels
/// and the asynchronous events of devices. It never takes the big lock and never blocks, which <see cref="BlockingCalls"/> asserts.
/// </summary>
internal sealed class CompletionWaiter : IDisposable
{
    private readonly Thread _thread;
    private readonly WakeEvent _wake;
    private readonly object _gate = new();
    private readonly List<IWaitSource> _sources = [];
    private long _changes;
    private long _applied;
    private bool _stopping;

    /// <summary>Starts the thread.</summary>
    /// <param name="log">For what devices report; null for none.</param>
    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public CompletionWaiter(ILogger? log = null)
    {
        Log = log ?? NullLogger.Instance;
        try
        {
            _wake = new WakeEvent();
        }
        catch (LinuxException failed)
        {
            throw new ConnectFailedException($"cannot wait for connections: {failed.Message}", failed);
        }

        _thread = new Thread(Run) { Name = "rdma/wait", IsBackground = true };
        try
        {
            _thread.Start();
        }
        catch
        {
            _wake.Dispose();
            throw;
        }
    }

    /// <summary>For what devices report.</summary>
    internal ILogger Log { get; }

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

    /// <summary>States that this is not the waiter's thread, for what blocks and is yet allowed under the big lock: freeing a connection at the end.</summary>
    internal void AssertElsewhere()
    {
        if (Thread.CurrentThread == _thread)
        {
            throw new InvalidOperationException("a connection is freed on the completion waiter's thread, which must never block");
        }
    }

    /// <summary>Makes the waiter look at the sources' deadlines again. Any thread.</summary>
    internal void Wake() => _wake.Set();

    /// <summary>Ends the thread. The sources must have been removed before, but for those that <see cref="IWaitSource.OnStopped"/> ends.</summary>
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
        _wake.Dispose();
        foreach (IWaitSource source in _sources)
        {
            source.OnStopped();
        }
    }

    private void Run()
    {
        IWaitSource[] sources = [];
        PollEntry[] descriptors = [];
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

            _ = Poll.Wait(descriptors, FirstDeadline(sources));
            TransportMetrics.OnWake();
            if (descriptors[0].Found != 0)
            {
                _wake.Reset();
            }

            BlockingCalls.Forbid("the completion waiter must never block: every connection of this process waits for it");
            Dispatch(sources, descriptors, seen);
            BlockingCalls.Allow();
        }

        // Nothing is watched any more: whoever waits for a removal need not wait.
        lock (_gate)
        {
            _applied = long.MaxValue;
            Monitor.PulseAll(_gate);
        }
    }

    private void Dispatch(IWaitSource[] sources, PollEntry[] descriptors, long seen)
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
                    ref PollEntry descriptor = ref descriptors[at + i];
                    if (descriptor.Found.HasFlag(PollEvents.Readable) && !IsStale(seen, source))
                    {
                        source.OnReady(i);
                    }
                    else if (descriptor.Found != PollEvents.None && !IsStale(seen, source))
                    {
                        source.OnClosed(i);
                        descriptor.Descriptor = source.Descriptors[i];
                    }
                }

                if (source.Deadline.HasPassedAt(now) && !IsStale(seen, source))
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

    private PollEntry[] Collect(IWaitSource[] sources)
    {
        List<PollEntry> descriptors = [new PollEntry(_wake.Descriptor, PollEvents.Readable)];
        foreach (IWaitSource source in sources)
        {
            foreach (int descriptor in source.Descriptors)
            {
                descriptors.Add(new PollEntry(descriptor, PollEvents.Readable));
            }
        }

        return [.. descriptors];
    }

    private static Deadline FirstDeadline(IWaitSource[] sources)
    {
        Deadline first = Deadline.Never;
        foreach (IWaitSource source in sources)
        {
            first = Deadline.Earlier(first, source.Deadline);
        }

        return first;
    }
}
