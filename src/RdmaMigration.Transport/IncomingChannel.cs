using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>A channel from a source: the stream comes in, and the return path, where there is one, goes out.</summary>
internal abstract class IncomingChannel : Channel
{
    private readonly object _gate = new();
    private string? _refusal;
    private Action<string>? _refused;

    /// <inheritdoc/>
    public abstract override ChannelInput Input { get; }

    /// <summary>RAM that arrives beside the stream; null where RAM comes in the stream.</summary>
    public virtual IIncomingRam? Ram => null;

    /// <summary>Bytes of the source lie in a socket's buffer; they may be its whole machine.</summary>
    public virtual bool HasBytes => false;

    /// <summary>A source stands behind the channel. False for a pipe, a file or a command: the source may come later, or never show.</summary>
    public virtual bool IsConnected => true;

    /// <summary>RAM has been announced: the source has made all its connections by now. The reader calls it.</summary>
    public virtual void RamBegins()
    {
    }

    /// <summary>The machine is complete. Waits a little for what only shows after the last byte: a command that ends with an error.</summary>
    /// <exception cref="TransportException">What was read cannot be trusted.</exception>
    public void EndOfStream()
    {
        BlockingCalls.AssertAllowed();
        CheckEnd();
    }

    /// <summary>
    /// Waits for the source to open the return path, which is <see cref="Channel.Output"/> then; null when it did not in time, or the channel failed.
    /// </summary>
    public ChannelOutput? WaitForOutput(TimeSpan timeout)
    {
        BlockingCalls.AssertAllowed();
        return AwaitOutput(timeout);
    }

    /// <summary>
    /// Watches a source that has sent everything and waits to be told how it ended: when it goes away, <see cref="Channel.Lost"/> says so within a second.
    /// Until what this returns is disposed, nobody writes on the return path. Null where the source is watched all the time, or cannot be.
    /// </summary>
    /// <param name="probe">
    /// A message that the source ignores. One that has closed its direction may listen still, and looks just like one that is gone until something is sent to
    /// it.
    /// </param>
    public virtual IDisposable? WatchSource(ReadOnlyMemory<byte> probe) => null;

    /// <summary>
    /// Has a method called, on any thread, when the source turns out to need what this side cannot give: at once if it did already. It must not block. Called
    /// once.
    /// </summary>
    public void WhenRefused(Action<string> refused)
    {
        string? already;
        lock (_gate)
        {
            _refused = refused;
            already = _refusal;
        }

        if (already is not null)
        {
            refused(already);
        }
    }

    /// <summary>The source needs what this side cannot give. Any thread; the first reason stays.</summary>
    internal void Refuse(string reason)
    {
        Action<string>? refused;
        lock (_gate)
        {
            if (_refusal is not null)
            {
                return;
            }

            _refusal = reason;
            refused = _refused;
        }

        refused?.Invoke(reason);
    }

    /// <summary>Does what <see cref="EndOfStream"/> says.</summary>
    protected virtual void CheckEnd()
    {
    }

    /// <summary>Does what <see cref="WaitForOutput"/> says.</summary>
    protected virtual ChannelOutput? AwaitOutput(TimeSpan timeout) => Output;
}
