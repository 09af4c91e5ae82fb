using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The stream's reader over the channel. A source without a return path ends by disconnecting, and so does one that is killed: the stream knows which,
/// so a disconnect is the end of the bytes here and <see cref="Disconnected"/> keeps the reason.
/// </summary>
internal sealed class ChannelSource(ChannelInput input) : IStreamSource
{
    /// <summary>How long the source may be silent until the stream counts as over; the stream's reader knows.</summary>
    public Func<TimeSpan> Patience { get; set; } = () => Timeout.InfiniteTimeSpan;

    /// <summary>Whether the bytes so far are a whole machine; the stream's reader knows.</summary>
    public Func<bool> IsComplete { get; set; } = () => false;

    /// <summary>Called after each read, on the reading thread.</summary>
    public Action? Received { get; init; }

    /// <summary>The disconnect that ended the bytes, or null.</summary>
    public ConnectionLostException? Disconnected { get; private set; }

    public int Read(Span<byte> buffer)
    {
        try
        {
            int count = input.Read(buffer, Patience());
            Received?.Invoke();
            return count;
        }
        catch (ConnectionLostException lost) when (IsEnd(lost.Loss))
        {
            Disconnected = lost;
            return 0;
        }
    }

    /// <summary>
    /// A source that has sent everything may be gone before it is asked for more, in whatever way that shows. One that says ERROR has given up and keeps its
    /// machine.
    /// </summary>
    private bool IsEnd(ConnectionLoss loss) =>
        loss is ConnectionLoss.Disconnected || (IsComplete() && loss is not (ConnectionLoss.PeerError or ConnectionLoss.Shutdown));
}
