using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>A channel to a destination: the stream goes out, and the return path, where there is one, comes in.</summary>
internal abstract class OutgoingChannel : Channel
{
    /// <inheritdoc/>
    public abstract override ChannelOutput Output { get; }

    /// <summary>Moves RAM beside the stream; null where RAM goes in the stream.</summary>
    public virtual OutgoingRam? Ram => null;

    /// <summary>The destination will prove that it has the machine: on the return path, or by what <see cref="ChannelOutput.Finish"/> waits for.</summary>
    public bool ProvesArrival => Input is not null || Output.FinishProves;

    /// <summary>
    /// Waits, where there is no return path, until the destination has closed the channel, which it does when it has failed or succeeded. Returns at once
    /// where a close cannot be seen. Nothing may be sent any more.
    /// </summary>
    /// <exception cref="ConnectionLostException">The channel ended in another way.</exception>
    /// <exception cref="ControlProtocolException">The destination broke the protocol.</exception>
    public void AwaitClose()
    {
        BlockingCalls.AssertAllowed();
        AwaitEnd();
    }

    /// <summary>Does what <see cref="AwaitClose"/> says.</summary>
    protected virtual void AwaitEnd()
    {
    }
}
