using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// Runs what the completion waiter's thread must not run because it blocks, each piece on a thread of its own. A few run per migration, so a pool would save
/// nothing, and a busy pool would delay them.
/// </summary>
/// <param name="name">Of the threads.</param>
/// <param name="start">Starts a thread; null for <see cref="Thread.Start()"/>.</param>
internal sealed class SideThreads(string name, Action<Thread>? start = null)
{
    /// <summary>How long after a thread could not be started the next attempt is due.</summary>
    private static readonly TimeSpan s_retryInterval = TimeSpan.FromSeconds(1);

    private readonly Action<Thread> _start = start ?? (thread => thread.Start());
    private readonly object _gate = new();
    private readonly Queue<Action> _postponed = new();
    private long _retryAt = long.MaxValue;
    private int _running;

    /// <summary>When <see cref="Retry"/> is due, as a timestamp; <see cref="long.MaxValue"/> for never.</summary>
    public long RetryAt => Volatile.Read(ref _retryAt);

    /// <summary>Runs it. Any thread; it must not throw.</summary>
    /// <exception cref="ConnectFailedException">This process can start no thread now. It does not run.</exception>
    public void Run(Action action)
    {
        Thread thread = new(() => RunHere(action)) { Name = name, IsBackground = true };
        lock (_gate)
        {
            _running++;
        }

        try
        {
            _start(thread);
        }
        catch (Exception none) when (none is OutOfMemoryException or ThreadStartException)
        {
            End();
            throw new ConnectFailedException($"this process cannot start a thread: {none.Message}; raise its limit of tasks (TasksMax, ulimit -u)", none);
        }
        catch
        {
            End();
            throw;
        }
    }

    /// <summary>Runs it, later if no thread can be started now; see <see cref="RetryAt"/>. Any thread; it must not throw.</summary>
    public void RunEventually(Action action)
    {
        try
        {
            Run(action);
        }
        catch (ConnectFailedException)
        {
            lock (_gate)
            {
                _postponed.Enqueue(action);
                Volatile.Write(ref _retryAt, Deadline.After(s_retryInterval).Timestamp);
            }
        }
    }

    /// <summary>Tries again what could not run.</summary>
    public void Retry()
    {
        Action[] postponed;
        lock (_gate)
        {
            postponed = [.. _postponed];
            _postponed.Clear();
            Volatile.Write(ref _retryAt, long.MaxValue);
        }

        foreach (Action action in postponed)
        {
            RunEventually(action);
        }
    }

    /// <summary>Waits until none runs. What was postponed runs on the calling thread.</summary>
    public void Wait()
    {
        lock (_gate)
        {
            while (_running > 0)
            {
                Monitor.Wait(_gate);
            }
        }

        while (TryTakePostponed() is { } action)
        {
            action();
        }
    }

    private Action? TryTakePostponed()
    {
        lock (_gate)
        {
            return _postponed.TryDequeue(out Action? action) ? action : null;
        }
    }

    private void RunHere(Action action)
    {
        try
        {
            action();
        }
        finally
        {
            End();
        }
    }

    private void End()
    {
        lock (_gate)
        {
            _running--;
            Monitor.PulseAll(_gate);
        }
    }
}
