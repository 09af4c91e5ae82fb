namespace RdmaMigration.Cli.Guest;

/// <summary>Stops a guest's writers and lets them run again, and notes when that was.</summary>
/// <param name="writers">Writer threads.</param>
internal sealed class GuestGate(int writers)
{
    private readonly object _gate = new();
    private volatile bool _isOpen;
    private bool _hasEnded;
    private int _parked;
    private DateTime? _first;
    private DateTime _last;

    /// <summary>The writers may run. Any thread.</summary>
    public bool IsOpen => _isOpen;

    /// <summary>When the last writer stopped: UTC. After <see cref="Close"/>.</summary>
    public DateTime LastInstruction => _last;

    /// <summary>Lets the writers run.</summary>
    public void Open()
    {
        lock (_gate)
        {
            _first = null;
            _isOpen = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Stops the writers. None of them writes any more when this returns.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _isOpen = false;
            Monitor.PulseAll(_gate);
            while (_parked < writers && !_hasEnded)
            {
                Monitor.Wait(_gate);
            }
        }
    }

    /// <summary>Ends the writers' threads, and every wait.</summary>
    public void End()
    {
        lock (_gate)
        {
            _isOpen = false;
            _hasEnded = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>A writer's thread: waits until it may run.</summary>
    /// <returns>False when the thread is to end.</returns>
    public bool Park()
    {
        lock (_gate)
        {
            _last = DateTime.UtcNow;
            _parked++;
            Monitor.PulseAll(_gate);
            while (!_isOpen && !_hasEnded)
            {
                Monitor.Wait(_gate);
            }

            _parked--;
            if (_first is null)
            {
                _first = DateTime.UtcNow;
                Monitor.PulseAll(_gate);
            }

            return !_hasEnded;
        }
    }

    /// <summary>A writer's thread: idles for a time, less if the gate closes.</summary>
    public void Idle(TimeSpan time)
    {
        lock (_gate)
        {
            if (_isOpen)
            {
                Monitor.Wait(_gate, time);
            }
        }
    }

    /// <summary>Waits until a writer has run since <see cref="Open"/>.</summary>
    /// <returns>When the first one began: UTC; null when the writers ended before.</returns>
    public DateTime? WaitForFirstInstruction()
    {
        lock (_gate)
        {
            while (_first is null && !_hasEnded)
            {
                Monitor.Wait(_gate);
            }

            return _hasEnded ? null : _first;
        }
    }
}
