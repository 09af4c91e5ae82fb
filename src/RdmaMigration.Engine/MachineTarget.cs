namespace RdmaMigration.Engine;

/// <summary>Where machines that arrive go: a <see cref="CaptureTarget"/> on disk, or another host, a <see cref="RelayTarget"/>.</summary>
public abstract record MachineTarget
{
    private protected MachineTarget()
    {
    }
}

/// <summary>Machines are sent on as they arrive, without a disk between.</summary>
/// <param name="Outgoing">The destination and the limits of sending. Its timeout counts for each machine from the attempt to reach the destination.</param>
/// <param name="Rescue">
/// Where a machine is saved that the destination did not take, when its source cannot be told and may have let it go; null to lose it then.
/// </param>
public sealed record RelayTarget(OutgoingOptions Outgoing, CaptureTarget? Rescue = null) : MachineTarget;
