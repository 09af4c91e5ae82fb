using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// A listener's place on the completion waiter's thread: runs what is due there, and at the end the last of it, after which the listener belongs to whoever
/// stopped it.
/// </summary>
/// <param name="due">What to run.</param>
/// <param name="deadline">When.</param>
/// <param name="log">For defects.</param>
internal sealed class Turn(Action due, Func<Deadline> deadline, ILogger log) : IWaitSource, IDisposable
{
    private readonly ManualResetEventSlim _hasStopped = new();
    private Action? _last;

    /// <summary>The last of it is due, or has run.</summary>
    public bool IsStopping => Volatile.Read(ref _last) is not null;

    public ReadOnlySpan<int> Descriptors => [];

    public Deadline Deadline => !IsStopping ? deadline() : _hasStopped.IsSet ? Deadline.Never : Deadline.Passed;

    /// <summary>Runs the last of it on the waiter's thread, and waits for that. Never on the waiter's thread; a second call does nothing.</summary>
    public void Stop(CompletionWaiter waiter, Action last)
    {
        if (IsStopping)
        {
            return;
        }

        Volatile.Write(ref _last, last);
        waiter.Wake();
        _hasStopped.Wait();
        waiter.Remove(this);
    }

    public void OnReady(int index)
    {
    }

    public void OnDeadline(long now)
    {
        if (Volatile.Read(ref _last) is not { } last)
        {
            due();
        }
        else
        {
            try
            {
                last();
            }
            finally
            {
                _hasStopped.Set();
            }
        }
    }

    public void Dispose() => _hasStopped.Dispose();

    public void OnFault(Exception fault) => ListenerLog.Fault(log, fault);
}
