using RdmaMigration.Engine;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>
/// The run state of the machine that a service keeps. The machine does not run here: "running" means that it continues at its next destination. Main thread,
/// with the big lock held.
/// </summary>
/// <param name="process">Keeps the machine.</param>
/// <param name="isPaused">A machine that arrives stays paused, as with QEMU's -S.</param>
internal sealed class ServedMachine(MachineProcess process, bool isPaused)
{
    private bool _startsOnArrival = !isPaused;
    private RunState _before;

    /// <summary>Called with the name of the event, STOP or RESUME, after a change.</summary>
    public event Action<string>? Changed;

    /// <summary>What query-status answers.</summary>
    public RunState State { get; private set; } = RunState.Prelaunch;

    /// <summary>
    /// The run state to send the machine with, by QEMU's name: its destination starts it if it is running here. Null when its stream says the same already.
    /// </summary>
    public string? RunStateToSend
    {
        get
        {
            bool isRunning = State is RunState.Running;
            return isRunning == IsLive(process.Kept?.RunState) ? null : (isRunning ? RunState.Running : RunState.Paused).ToQmp();
        }
    }

    /// <summary>A machine is awaited from now on.</summary>
    public void Await() => State = RunState.InMigrate;

    /// <summary>Follows a migration. Called before the migration's own event is sent: QEMU sends STOP and RESUME first.</summary>
    public void Follow(MigrationInfo migration)
    {
        if (migration.IsOutgoing)
        {
            FollowOutgoing(migration);
        }
        else if (migration.Status is MigrationStatus.Completed)
        {
            Arrive();
        }
    }

    /// <summary>stop.</summary>
    public void Stop()
    {
        if (State is RunState.InMigrate)
        {
            _startsOnArrival = false;
        }

        if (State is RunState.Running)
        {
            Go(RunState.Paused, "STOP");
        }
    }

    /// <summary>cont.</summary>
    /// <exception cref="QmpException">The machine is at the end of its migration.</exception>
    public void Continue()
    {
        if (State is RunState.FinishMigrate)
        {
            throw new QmpException("Migration is not finalized yet");
        }

        if (State is RunState.InMigrate)
        {
            _startsOnArrival = true;
        }
        else if (process.Kept is not null && State is not RunState.Running)
        {
            Go(RunState.Running, "RESUME");
        }
    }

    /// <summary>The machine was dropped.</summary>
    public void Drop() => State = RunState.Prelaunch;

    /// <summary>A destination starts the machine when it came so: also without a run state, and when its guest sleeps.</summary>
    private static bool IsLive(string? runState) => runState is null or "running" or "suspended";

    private void Arrive()
    {
        // The run state travels in the stream.
        string? source = process.Kept?.RunState;
        if (_startsOnArrival && IsLive(source))
        {
            Go(RunState.Running, "RESUME");
        }
        else
        {
            State = source == "prelaunch" ? RunState.Prelaunch : RunState.Paused;
        }
    }

    private void FollowOutgoing(MigrationInfo migration)
    {
        switch (migration.Status)
        {
            case MigrationStatus.PreSwitchover or MigrationStatus.Device when State is not RunState.FinishMigrate:
                _before = State;
                Go(RunState.FinishMigrate, State is RunState.Running ? "STOP" : null);
                break;
            case MigrationStatus.Completed:
                State = RunState.PostMigrate;
                break;
            case MigrationStatus.Failed or MigrationStatus.Cancelled when State is RunState.FinishMigrate && _before is RunState.Running:
                // A destination that may have started the machine keeps it stopped here.
                Go(migration.MayHaveArrived ? RunState.Paused : RunState.Running, migration.MayHaveArrived ? null : "RESUME");
                break;
            case MigrationStatus.Failed or MigrationStatus.Cancelled when State is RunState.FinishMigrate:
                State = _before;
                break;
            default:
                break;
        }
    }

    private void Go(RunState state, string? happened)
    {
        State = state;
        if (happened is not null)
        {
            Changed?.Invoke(happened);
        }
    }
}
