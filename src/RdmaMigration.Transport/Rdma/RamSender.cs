using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// Moves RAM: the page path. One thread steps two halves: <see cref="WindowRequests"/> has ranges cleared and asks for keys, a window ahead, and
/// <see cref="WindowWriter"/> writes the windows that have a key. So the destination registers the next window while this one is on the wire. Used once.
/// </summary>
/// <param name="wait">Where this thread parks.</param>
/// <param name="lane">The writes.</param>
/// <param name="control">The control protocol.</param>
/// <param name="blocks">What is sent.</param>
/// <param name="destination">The destination's blocks, in the same order; for a key of 0 keys are asked for window by window.</param>
/// <param name="windows">What to send of the blocks.</param>
/// <param name="limit">Paces the writes; null for no limit.</param>
internal sealed class RamSender(
    ILaneWait wait,
    IWriteLane lane,
    OutgoingControl control,
    IReadOnlyList<RamBlock> blocks,
    IReadOnlyList<DestinationBlock> destination,
    IWindowSource windows,
    BandwidthLimit? limit)
{
    /// <summary>Sends everything and returns when the destination's device has it.</summary>
    /// <exception cref="TransportException">The connection is lost, the destination broke the protocol, or memory cannot be registered.</exception>
    public void Run()
    {
        WindowRequests requests = new(control, destination, windows);
        WindowWriter writer = new(lane, blocks, requests, windows, limit);
        while (true)
        {
            long progress = wait.Progress;
            control.Pump();
            bool moved = requests.Step() | writer.Step(out TimeSpan pause) | writer.ReturnWritten();
            if (requests.IsDone && writer.IsDone)
            {
                return;
            }

            if (!moved)
            {
                wait.Park(progress, pause);
            }
        }
    }
}
