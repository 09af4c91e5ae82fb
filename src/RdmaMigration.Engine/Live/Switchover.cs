using RdmaMigration.Streams;
using RdmaMigration.Transport;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine;

/// <summary>
/// The source's machine at the switchover: stopped and saved on the main thread with the big lock held, and started again when it cannot have started at the
/// destination. The members are for the thread mig/src/main, except where one says otherwise.
/// </summary>
internal sealed class Switchover(MigrationContext context, ILiveMachine machine, LiveFigures figures) : IDisposable
{
    private readonly object _gate = new();
    private readonly SwitchoverGate _pause = new(context);
    private bool _mayHaveStarted;
    private long _downtimeLimit;

    /// <summary>The machine is stopped once the rest can be sent within this time. Any thread.</summary>
    public TimeSpan DowntimeLimit
    {
        get => TimeSpan.FromTicks(Volatile.Read(ref _downtimeLimit));
        set => Volatile.Write(ref _downtimeLimit, value.Ticks);
    }

    /// <summary>The machine was asked to stop.</summary>
    public bool HasStopped { get; private set; }

    /// <summary>The destination may have everything that it needs to start the machine. Any thread.</summary>
    public bool MayHaveStarted
    {
        get
        {
            lock (_gate)
            {
                return _mayHaveStarted;
            }
        }
    }

    /// <summary>Stops the machine.</summary>
    public void Stop()
    {
        HasStopped = true;
        figures.OnStop();
        context.Trace.DowntimeCheckpoint("src-downtime-start");
        OnMain(machine.Stop, "stop");
        context.Trace.DowntimeCheckpoint("src-vm-stopped");
    }

    /// <summary>Waits for <see cref="TryContinue"/>.</summary>
    /// <param name="channel">Watched meanwhile.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="ConnectionLostException">The destination is lost.</exception>
    public void AwaitContinue(Channel channel) =>
        _pause.Await(() => channel.Lost is { } lost ? new ConnectionLostException(lost.Loss, lost.Message, lost.DetectedAt) : null);

    /// <summary>migrate-continue. False when nothing waits for it. Any thread.</summary>
    public bool TryContinue() => _pause.TryContinue();

    /// <summary>Encodes the devices into memory.</summary>
    public SavedDevices Save(Func<SavedDevices> save) => context.OnMain(
        () =>
        {
            context.Lock.Assert(BigLockState.Held);
            return save();
        },
        "save");

    /// <summary>From now on the destination may start the machine, so it is not started here unless the destination refuses it.</summary>
    /// <exception cref="OperationCanceledException">Cancelled before.</exception>
    public void Commit()
    {
        lock (_gate)
        {
            context.Cancellation.ThrowIfCancellationRequested();
            _mayHaveStarted = true;
        }
    }

    /// <summary>Starts the machine again.</summary>
    public void GoOn() => OnMain(
        () =>
        {
            if (!machine.IsRunning)
            {
                machine.Start();
            }
        },
        "start");

    public void Dispose() => _pause.Dispose();

    private void OnMain(Action step, string site) => context.OnMain(
        () =>
        {
            context.Lock.Assert(BigLockState.Held);
            step();
            return true;
        },
        site);
}
