using RdmaMigration.Engine;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>
/// The run state of the machine that a monitor commands. A machine that does not run here is "running" when it continues at its next destination. Main
/// thread, with the big lock held.
/// </summary>
/// <param name="machine">The machine.</param>
/// <param name="isPaused">A machine that arrives stays paused, as with QEMU's -S.</param>
internal sealed class ServedMachine(IMonitoredMachine machine, bool isPaused)
{
    private bool _startsOnArrival = !isPaused;
    private RunState _before;

    /// <summary>Called with the name of the event, STOP or RESUME, after a change.</summary>
    public event Action<string>? Changed;

    /// <summary>What query-status answers.</summary>
    public RunState State { get; private set; } = RunState.Prelaunch;

    /// <summary>A machine is awaited from now on.</summary>
    public void Await() => State = RunState.InMigrate;

    /// <summary>Begins to send the machine; its destination starts it if it is running here.</summary>
    public void Send(OutgoingOptions options) => machine.Send(options, State is RunState.Running);

    /// <summary>Begins to wait for a machine.</summary>
    public void Receive(MigrationUri uri, ParameterSet parameters)
    {
        machine.Receive(new IncomingOptions { Uri = uri, Target = machine.Target, Parameters = parameters });
        Await();
    }

    /// <summary>The program that has the machine has started or stopped it.</summary>
    public void Follow()
    {
        if (machine.IsRunning is true)
        {
            Go(RunState.Running, "RESUME");
        }
        else if (State is RunState.Running)
        {
            Go(RunState.Paused, "STOP");
        }
    }

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
            _startsOnArrival = machine.IsRunning is null ? false : throw new QmpException("The machine runs as soon as it arrives; stop it then");
        }

        if (State is RunState.Running)
        {
            machine.Stop();
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
        else if (machine.CanStart && State is not RunState.Running)
        {
            machine.Start();
            Go(RunState.Running, "RESUME");
        }
    }

    /// <summary>Frees the machine.</summary>
    public void Drop()
    {
        machine.Drop();
        State = RunState.Prelaunch;
    }

    /// <summary>A destination starts the machine when it came so: also without a run state, and when its guest sleeps.</summary>
    internal static bool IsLive(string? runState) => runState is null or "running" or "suspended";

    private void Arrive()
    {
        // The run state travels in the stream.
        string? source = machine.StateAtSource;
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
                bool runs = machine.IsRunning ?? !migration.MayHaveArrived;
                Go(runs ? RunState.Running : RunState.Paused, runs ? "RESUME" : null);
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
        bool isNew = State != state;
        State = state;
        if (isNew && happened is not null)
        {
            Changed?.Invoke(happened);
        }
    }
}
