using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine;

/// <summary>
/// Starts a machine that has arrived: one bottom half on the main thread, with the big lock held, applies the state of all devices, and only then starts it.
/// </summary>
/// <param name="machine">The machine.</param>
/// <param name="arriving">What has arrived for it.</param>
/// <param name="context">The migration.</param>
internal sealed class MachineStarter(ILiveMachine machine, ArrivingMachine arriving, MigrationContext context) : IMachineSink
{
    public void Begin() => CheckStopped();

    public void Announce(StreamConfiguration configuration)
    {
    }

    public void CheckRoom(ulong ramBytes)
    {
    }

    /// <summary>Applies the devices' state and starts the machine.</summary>
    /// <exception cref="MigrationException">A device refuses its state, or the machine did not start. It does not run.</exception>
    public void Take(IMachine arrived)
    {
        context.State.Enter(MigrationPhase.Device);
        context.OnMain(
            () =>
            {
                Complete(BigLockState.Held);
                return true;
            },
            "commit");
    }

    public void AfterFailure()
    {
    }

    public void Interrupt(string reason)
    {
    }

    public string? Remark(bool isStopped) => null;

    public MigrationInfo Describe(MigrationInfo info) => info;

    public void Dispose()
    {
    }

    private void Complete(BigLockState state)
    {
        context.Lock.Assert(state);
        context.Trace.DowntimeCheckpoint("dst-precopy-bh-enter");
        context.Cancellation.ThrowIfCancellationRequested();
        CheckStopped();
        foreach (StagedDevice device in arriving.Staged)
        {
            device.Commit();
        }

        context.State.Decide();
        context.Lock.Reacquire("start");
        machine.Start();
        context.Trace.DowntimeCheckpoint("dst-precopy-bh-vm-started");
    }

    private void CheckStopped()
    {
        if (machine.IsRunning)
        {
            throw new MigrationException(FailureReason.Policy, "the machine here runs already, so no other can take its place: stop it first");
        }
    }
}
