namespace RdmaMigration.Engine;

/// <summary>
/// Where machines that arrive go: a <see cref="CaptureTarget"/> on disk, another host, a <see cref="RelayTarget"/>, a program of this process, a
/// <see cref="LiveTarget"/>, or this process's memory, a <see cref="KeepTarget"/>.
/// </summary>
internal abstract record MachineTarget
{
    private protected MachineTarget()
    {
    }
}

/// <summary>Machines are sent on as they arrive, without a disk between.</summary>
/// <param name="Outgoing">The destination and the limits of sending. Its timeout counts for each machine from the attempt to reach the destination.</param>
/// <param name="Rescue">
/// Where a machine is saved that nobody else is known to have: the destination did not take it and its source cannot be told, or the destination has taken it
/// and cannot prove so. Null for nowhere: then a source that waits to be told is refused by a destination that can prove nothing, and any other's machine may
/// be lost.
/// </param>
internal sealed record RelayTarget(OutgoingOptions Outgoing, CaptureTarget? Rescue = null) : MachineTarget;
