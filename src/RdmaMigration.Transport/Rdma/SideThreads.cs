namespace RdmaMigration.Transport;

/// <summary>
/// Runs what the completion waiter's thread must not run because it blocks, each piece on a thread of its own. A few run per migration, so a pool would save
/// nothing, and a busy pool would delay them.
/// </summary>
internal sealed class SideThreads(string name)
{
    private readonly object _gate = new();
    private int _running;

    /// <summary>Runs it. Any thread; it must not throw.</summary>
    public void Run(Action action)
    {
        lock (_gate)
        {
            _running++;
        }

        new Thread(() =>
        {
            try
            {
                action();
            }
            finally
            {
                lock (_gate)
                {
                    _running--;
                    Monitor.PulseAll(_gate);
                }
            }
        })
        { Name = name, IsBackground = true }.Start();
    }

    /// <summary>Waits until none runs.</summary>
    public void Wait()
    {
        lock (_gate)
        {
            while (_running > 0)
            {
                Monitor.Wait(_gate);
            }
        }
    }
}
