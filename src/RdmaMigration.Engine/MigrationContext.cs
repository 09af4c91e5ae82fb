using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Engine;

/// <summary>The state, the timers and the log of one migration. Its work uses them, and ends it early through <see cref="Stop"/>.</summary>
internal sealed class MigrationContext(MainLoop loop, ILogger log) : IDisposable
{
    private readonly CancellationTokenSource _cancel = new();
    private readonly RankedLock _gate = new(LockRank.Stop);
    private Action<string>? _interrupt;
    private string? _reason;
    private bool _isDisposed;

    /// <summary>Status, phase, first reason.</summary>
    public MigrationState State { get; } = new();

    /// <summary>The migration's log.</summary>
    public ILogger Log => log;

    /// <summary>Its trace points.</summary>
    public MigrationTrace Trace { get; } = new(log);

    /// <summary>Signalled when the migration is to end soon.</summary>
    public CancellationToken Cancellation => _cancel.Token;

    /// <summary>Called when the connection to the destination is established; null for nothing. It only schedules.</summary>
    public Action? Connected { get; init; }

    /// <summary>Called with the number of each pass over the RAM of a machine that runs, when it begins; null for nothing. It only schedules.</summary>
    public Action<int>? PassBegan { get; init; }

    /// <summary>Sets what makes a blocked read or write return. It is called with the reason of a stop, after the token is signalled. Main thread.</summary>
    /// <param name="interrupt">It must not block, and may be called on any thread.</param>
    public void OnStop(Action<string> interrupt)
    {
        using (_gate.Enter())
        {
            _interrupt = interrupt;
            if (_reason is { } reason)
            {
                interrupt(reason);
            }
        }
    }

    /// <summary>Makes the migration end soon, for good. The first reason stays. Main thread.</summary>
    public void Stop(FailureReason reason, string description)
    {
        loop.Lock.AssertHeld();
        StopAtOnce(reason, description);
    }

    /// <summary>As <see cref="Stop"/>, also while the main thread is busy. Any thread; does nothing once the migration is torn down.</summary>
    public void StopAtOnce(FailureReason reason, string description)
    {
        // The teardown takes the lock before it frees the channel.
        using (_gate.Enter())
        {
            if (!_isDisposed && State.TryStop(reason, description))
            {
                _reason = description;
                _cancel.Cancel();
                _interrupt?.Invoke(description);
            }
        }
    }

    /// <summary>Stops the migration when the time is up. Any thread; the timer ends with the migration.</summary>
    public void StopAfter(TimeSpan time, string description) => After(time, () => Stop(FailureReason.Timeout, description));

    /// <summary>Calls on the main thread when the time is up, unless the migration has ended. Any thread.</summary>
    public void After(TimeSpan time, Action expired) => loop.StartTimer(time, expired, owner: this);

    /// <summary>The big lock.</summary>
    public BigLock Lock => loop.Lock;

    /// <summary>Has the main thread do something with the big lock held, and waits for it. The migration's thread, without the lock.</summary>
    /// <param name="step">What is done. What it throws is thrown here.</param>
    /// <param name="site">What it is, for the lock's hold time.</param>
    public T OnMain<T>(Func<T> step, string site) => loop.Invoke(step, site);

    /// <summary>Logs a thing that a teardown could not clean up. The teardown goes on. Any thread.</summary>
    public void OnLeftBehind(string what) => EngineLog.LeftBehind(log, what);

    /// <summary>Stops the timers. The migration's thread is joined. Nothing interrupts its work from now on.</summary>
    public void Dispose()
    {
        using (_gate.Enter())
        {
            _isDisposed = true;
        }

        loop.StopTimers(this);
        _cancel.Dispose();
    }
}
