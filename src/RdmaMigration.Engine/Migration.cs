using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// One migration: a thread that runs a work, and the work's end. The thread never holds the big lock. Its last act is to schedule the end on the main thread,
/// which joins it and frees what it used. Whatever ends a migration makes the thread return, and so goes that way.
/// </summary>
/// <param name="loop">Runs the start and the end.</param>
/// <param name="context">State, timers, log.</param>
/// <param name="work">What is done. Owned.</param>
/// <param name="start">For tests: starts the thread.</param>
internal sealed class Migration(MainLoop loop, MigrationContext context, IMigrationWork work, Action<Thread>? start = null)
{
    private Thread? _thread;
    private Action<MigrationInfo>? _ended;

    /// <summary>Status and figures. Any thread, at any time, also during and after the teardown.</summary>
    public MigrationInfo Query() => work.Describe(context.State.Snapshot());

    /// <summary>Starts the thread. Main thread, once.</summary>
    /// <param name="changed">Called on the main thread after each transition, in order.</param>
    /// <param name="ended">Called on the main thread when nothing is left of the migration.</param>
    public void Start(Action<MigrationInfo> changed, Action<MigrationInfo> ended)
    {
        loop.Lock.AssertHeld();
        _ended = ended;
        context.State.Changed = snapshot =>
        {
            context.Trace.SetState(snapshot.Status);
            loop.Schedule(() => changed(work.Describe(snapshot)));
        };
        context.State.GoTo(MigrationStatus.Setup);
        work.Begin();
        context.OnStop(work.Interrupt);
        Thread thread = new(Run) { Name = work.ThreadName, IsBackground = true };
        try
        {
            (start ?? (static thread => thread.Start()))(thread);
            _thread = thread;
        }
        catch (Exception refused)
        {
            // The runtime throws OutOfMemoryException when the kernel refuses a thread.
            MigrationException failure = new(
                FailureReason.Memory,
                $"cannot start the thread {work.ThreadName}: {refused.Message}; free memory, or raise the limit of threads (ulimit -u, TasksMax of the unit)",
                refused);
            Fail(failure, Stopwatch.GetTimestamp());
            loop.Schedule(End);
        }
    }

    /// <summary>Makes the migration end soon. The first reason stays. Main thread.</summary>
    public void Stop(FailureReason reason, string description) => context.Stop(reason, description);

    /// <summary>As <see cref="Stop"/>, also while the main thread is busy. Any thread.</summary>
    public void StopAtOnce(FailureReason reason, string description) => context.StopAtOnce(reason, description);

    /// <summary>As <see cref="Stop"/>, for a process that ends: the report of a result that stands already is bounded too. Main thread.</summary>
    public void Quit(string description)
    {
        Stop(FailureReason.Cancelled, description);
        work.LimitReport(description);
    }

    /// <summary>Goes on with the switchover. False when the migration does not wait for that. Main thread.</summary>
    public bool TryContinue() => work.TryContinue();

    /// <summary>Sends with this max-bandwidth and downtime-limit from now on. Main thread.</summary>
    public void SetLimits(ParameterSet parameters) => work.SetLimits(parameters);

    private void Run()
    {
        BlockingCalls.AssertAllowed();
        using IDisposable? activity = context.Trace.Begin(work.ThreadName);
        try
        {
            Attempt();
        }
        catch (Exception defect)
        {
            EngineLog.Defect(context.Log, defect);
            context.State.Fail(FailureReason.Internal, defect.Message, latency: null);
        }
        finally
        {
            loop.Schedule(End);
        }
    }

    private void Attempt()
    {
        try
        {
            work.Run();
        }
        catch (Exception failed)
        {
            Fail(failed, Stopwatch.GetTimestamp());
            work.AfterFailure();
        }
    }

    private void Fail(Exception failed, long heldAt)
    {
        FailureCause cause = context.State.Settle(failed);
        string description = work.OnFailed(cause.IsStopped) is { Length: > 0 } remark ? cause.Description.TrimEnd('.') + remark : cause.Description;
        TimeSpan? latency = failed is ConnectionLostException lost ? Stopwatch.GetElapsedTime(lost.DetectedAt, heldAt) : null;
        context.State.Fail(cause.Reason, description, latency);
        if (cause.Reason is FailureReason.Internal)
        {
            EngineLog.Defect(context.Log, failed);
        }

        work.LogFailure(description);
    }

    /// <summary>The bottom half after the thread: joins it, frees everything, and only then reports how it ended.</summary>
    private void End()
    {
        loop.Lock.AssertHeld();
        if (_thread is { } thread)
        {
            loop.WithoutLock(thread.Join);
        }

        context.Dispose();
        try
        {
            work.Dispose();
        }
        catch (Exception defect)
        {
            EngineLog.Defect(context.Log, defect);
        }

        context.State.Finish();
        MigrationInfo info = Query();
        MigrationMetrics.OnEnd(info);
        _ended!(info);
    }
}
