using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine;

/// <summary>
/// Starts a machine that has arrived: bottom halves on the main thread, with the big lock held, apply the state of all devices, and only then start it. Between
/// two of them the main loop answers queries.
/// </summary>
/// <param name="machine">The machine.</param>
/// <param name="arriving">What has arrived for it.</param>
/// <param name="context">The migration.</param>
internal sealed class MachineStarter(ILiveMachine machine, ArrivingMachine arriving, MigrationContext context) : IMachineSink
{
    // After this time no further device is applied in the same bottom half.
    private static readonly TimeSpan s_longHold = TimeSpan.FromMilliseconds(1);

    public void Begin()
    {
        CheckStopped();
        machine.Clear();
    }

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
        Queue<StagedDevice> devices = new(arriving.Staged);
        while (context.OnMain(() => CommitSome(BigLockState.Held, devices), "commit"))
        {
        }

        context.OnMain(
            () =>
            {
                Start(BigLockState.Held);
                return true;
            },
            "start");
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

    /// <returns>Whether devices are left.</returns>
    private bool CommitSome(BigLockState state, Queue<StagedDevice> devices)
    {
        long start = Stopwatch.GetTimestamp();
        if (devices.Count == arriving.Staged.Count)
        {
            context.Trace.DowntimeCheckpoint("dst-precopy-bh-enter");
        }

        CheckMayGoOn(state);
        while (devices.TryDequeue(out StagedDevice? device))
        {
            device.Commit(state);
            if (Stopwatch.GetElapsedTime(start) > s_longHold)
            {
                break;
            }
        }

        return devices.Count > 0;
    }

    private void Start(BigLockState state)
    {
        CheckMayGoOn(state);
        context.State.Decide();
        machine.Start();
        context.Trace.DowntimeCheckpoint("dst-precopy-bh-vm-started");
    }

    private void CheckMayGoOn(BigLockState state)
    {
        context.Lock.Assert(state);
        context.Cancellation.ThrowIfCancellationRequested();
        CheckStopped();
    }

    private void CheckStopped()
    {
        if (machine.IsRunning)
        {
            throw new MigrationException(FailureReason.Policy, "the machine here runs already, so no other can take its place: stop it first");
        }
    }
}
