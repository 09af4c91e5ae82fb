using RdmaMigration.Stream;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The stream's reader over the channel. A source without a return path ends by disconnecting, and so does one that is killed: the stream knows which,
/// so a disconnect is the end of the bytes here and <see cref="Disconnected"/> keeps the reason.
/// </summary>
internal sealed class ChannelSource(IncomingChannel channel) : IStreamSource
{
    /// <summary>
    /// How long a source may be silent at a place where the stream looks complete. It applies to machine types that suppress the vmdescription, where a
    /// source with a return path waits for our SHUT and says nothing more (protocol E.3): 2 s is far above any pause between two messages.
    /// </summary>
    private static readonly TimeSpan s_silenceAtEnd = TimeSpan.FromSeconds(2);

    /// <summary>Whether the bytes so far look complete; the stream's reader knows.</summary>
    public Func<bool> IsAtPossibleEnd { get; set; } = () => false;

    /// <summary>Called after each read, on the reading thread.</summary>
    public Action? Received { get; init; }

    /// <summary>The disconnect that ended the bytes, or null.</summary>
    public ConnectionLostException? Disconnected { get; private set; }

    public int Read(Span<byte> buffer)
    {
        try
        {
            int count = channel.Read(buffer, IsAtPossibleEnd() ? s_silenceAtEnd : Timeout.InfiniteTimeSpan);
            Received?.Invoke();
            return count;
        }
        catch (ConnectionLostException lost) when (lost.Loss is ConnectionLoss.Disconnected)
        {
            Disconnected = lost;
            return 0;
        }
    }
}
