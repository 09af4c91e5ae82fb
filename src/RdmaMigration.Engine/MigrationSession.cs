using System.Diagnostics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Engine;

/// <summary>
/// One migration, in either direction: its thread, its end, and where it stands. The thread never holds the big lock. Its last act is to schedule
/// <see cref="End"/> on the main thread, which joins it and frees what it used; whatever ends a migration makes the thread return and so goes that way.
/// </summary>
internal abstract partial class MigrationSession : IDeliverySession, IDisposable
{
    private readonly MainLoop _loop;
    private readonly Action<MigrationInfo> _changed;
    private readonly Action<MigrationSession> _ended;
    private readonly Thread _thread;
    private readonly CancellationTokenSource _cancel = new();
    private readonly List<IDisposable> _timers = [];

    /// <param name="threadName">The thread's name, as QEMU calls it.</param>
    /// <param name="loop">Where the end is scheduled.</param>
    /// <param name="log">For what happens.</param>
    /// <param name="changed">Called on the main thread after each transition.</param>
    /// <param name="ended">Called on the main thread when nothing is left of the session.</param>
    protected MigrationSession(string threadName, MainLoop loop, ILogger log, Action<MigrationInfo> changed, Action<MigrationSession> ended)
    {
        _loop = loop;
        Log = log;
        _changed = changed;
        _ended = ended;
        _thread = new Thread(Run) { Name = threadName, IsBackground = true };
    }

    /// <summary>For what happens.</summary>
    protected ILogger Log { get; }

    /// <summary>Signalled when the session is to end soon.</summary>
    public CancellationToken Cancellation => _cancel.Token;

    /// <summary>Starts the thread. Main thread.</summary>
    public void Start()
    {
        _loop.Lock.AssertHeld();
        SetStatus(MigrationStatus.Setup);
        Begin();
        _thread.Start();
    }

    /// <summary>Makes the thread end soon, for good. Main thread; the first reason stays.</summary>
    public void Stop(FailureReason reason, string description)
    {
        _loop.Lock.AssertHeld();
        if (TryStop(reason, description))
        {
            _cancel.Cancel();
            Interrupt(description);
        }
    }

    /// <summary>Frees what the thread used. It has been joined, or was never started.</summary>
    public void Dispose()
    {
        Release();
        _cancel.Dispose();
    }

    /// <summary>Sets the timers. Main thread, before the thread starts.</summary>
    protected abstract void Begin();

    /// <summary>The migration, on its thread. Returns when it has succeeded.</summary>
    protected abstract void Work();

    /// <summary>Work has thrown and the status says so: what is left to tell the other side. On the migration's thread.</summary>
    protected abstract void AfterFailure();

    /// <summary>Makes a blocked read or write return. Main thread; must not block.</summary>
    protected abstract void Interrupt(string reason);

    /// <summary>Frees channels, RAM and files. Main thread, after the join.</summary>
    protected abstract void Release();

    /// <summary>Says in the log why it failed.</summary>
    protected abstract void LogFailure(string reason);

    /// <summary>Stops the migration when the time is up. Any thread; the timer ends with the session.</summary>
    public void StopAfter(TimeSpan time, string description) => After(time, () => Stop(FailureReason.Timeout, description));

    /// <summary>Calls on the main thread when the time is up, unless the session has ended. Any thread.</summary>
    public void After(TimeSpan time, Action expired)
    {
        lock (Gate)
        {
            IDisposable? timer = null;
            timer = _loop.StartTimer(time, () =>
            {
                lock (Gate)
                {
                    _timers.Remove(timer!);
                }

                expired();
            });
            _timers.Add(timer);
        }
    }

    void IDeliverySession.OnDestinationNotTold(string reason) => EngineLog.DestinationNotTold(Log, reason);

    /// <summary>For what a teardown could not clean up: it goes on. Any thread.</summary>
    public void OnLeftBehind(string what) => EngineLog.LeftBehind(Log, what);

    private void Run()
    {
        _loop.Lock.AssertNotHeld();
        try
        {
            Work();
        }
        catch (Exception failed)
        {
            long held = Stopwatch.GetTimestamp();
            Fail(failed, held);
            AfterFailure();
        }

        _loop.Schedule(End);
    }

    /// <summary>The bottom half after the thread: joins it, frees everything, and only then says how it went.</summary>
    private void End()
    {
        _loop.Lock.AssertHeld();
        _loop.WithoutLock(_thread.Join);
        foreach (IDisposable timer in _timers)
        {
            timer.Dispose();
        }

        Dispose();
        SetFinalStatus();
        _ended(this);
    }
}
