using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// One migration: a thread that runs a work, and the work's end. The thread never holds the big lock. Its last act is to schedule the end on the main thread,
/// which joins it and frees what it used. Whatever ends a migration makes the thread return, and so goes that way.
/// </summary>
internal sealed class Migration(MainLoop loop, MigrationContext context, IMigrationWork work)
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
        context.Interrupt = work.Interrupt;
        context.State.Changed = snapshot => loop.Schedule(() => changed(work.Describe(snapshot)));
        context.State.GoTo(MigrationStatus.Setup);
        work.Begin();
        _thread = new Thread(Run) { Name = work.ThreadName, IsBackground = true };
        _thread.Start();
    }

    /// <summary>Makes the migration end soon. The first reason stays. Main thread.</summary>
    public void Stop(FailureReason reason, string description) => context.Stop(reason, description);

    private void Run()
    {
        BlockingCalls.AssertAllowed();
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
        string description = cause.Description + work.OnFailed(cause.IsStopped);
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
        loop.WithoutLock(_thread!.Join);
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
        _ended!(Query());
    }
}
