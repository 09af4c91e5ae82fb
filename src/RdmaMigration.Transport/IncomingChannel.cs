using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// The IO channel of an incoming migration. One thread reads; <see cref="Shutdown"/> and the properties are for any thread. The owner joins the reader and
/// then disposes the channel, before it frees the RAM blocks.
/// </summary>
public abstract class IncomingChannel : IDisposable
{
    private readonly object _gate = new();
    private string? _refusal;
    private Action<string>? _refused;

    /// <summary>Called before each read. The engine asserts here that the big lock is not held.</summary>
    public Action? BeforeIo { get; set; }

    /// <summary>Called by <see cref="Dispose"/>, which does not throw, with what it could not clean up, in words.</summary>
    public Action<string>? LeftBehind { get; set; }

    /// <summary>The source, for messages: address and port, path, command.</summary>
    public abstract string Peer { get; }

    /// <summary>What the source came in by: the RDMA device's name, or the kind of channel.</summary>
    public abstract string DeviceName { get; }

    /// <summary>Bytes of the source lie in a socket's buffer; they may be its whole machine.</summary>
    public virtual bool HasBytes => false;

    /// <summary>RAM arrives in the stream, not beside it by RDMA writes.</summary>
    public virtual bool CarriesRam => false;

    /// <summary>A source stands behind the channel. False for a pipe, a file or a command: the source may come later, or never show.</summary>
    public virtual bool IsConnected => true;

    /// <summary>RAM arrives beside the stream, by RDMA writes, and is registered whole at the start.</summary>
    public virtual bool PinAll => false;

    /// <summary>Why the channel is errored, or null. The first reason stays.</summary>
    public abstract ConnectionLostException? Lost { get; }

    /// <summary>Bytes of RAM that have arrived or are on their way: what the source has asked keys for, or 0 where RAM comes in the stream.</summary>
    public virtual long RegisteredBytes => 0;

    /// <summary>Bytes of RAM that the source said are zero, beside the stream.</summary>
    public virtual long ZeroBytes => 0;

    /// <summary>Blocks for stream bytes: at least 1 for a buffer that is not empty, or 0 when the source said nothing for <paramref name="idle"/>.</summary>
    /// <exception cref="ConnectionLostException">
    /// The channel is lost. <see cref="ConnectionLoss.Disconnected"/> is also how a source ends its stream; over a socket the way back may be open still.
    /// </exception>
    /// <exception cref="TransportException">The source broke the protocol, or memory cannot be registered.</exception>
    public abstract int Read(Span<byte> buffer, TimeSpan idle);

    /// <summary>The blocks that the source's list asked for, in its order. The reader calls it between the list and the next read; the channel does not own them.</summary>
    public virtual void SetRamBlocks(RamBlockList blocks)
    {
    }

    /// <summary>RAM has been announced: the source has made all its connections by now. The reader calls it.</summary>
    public virtual void RamBegins()
    {
    }

    /// <summary>The machine is complete. Waits a little for what only shows after the last byte: a command that ends with an error.</summary>
    /// <exception cref="TransportException">What was read is not to be trusted.</exception>
    public virtual void EndOfStream()
    {
    }

    /// <summary>The way back to the source, when there is one within the time; null when there is none, or the channel was lost meanwhile.</summary>
    public virtual ReturnPathChannel? WaitForReturnPath(TimeSpan timeout) => null;

    /// <summary>
    /// Watches a source that has sent everything and waits to be told how it ended: when it goes away, <see cref="Lost"/> says so within a second. Until what this
    /// returns is disposed, nobody writes on the return path. Null where the source is watched all the time, or cannot be.
    /// </summary>
    /// <param name="probe">
    /// A message that the source ignores. One that has closed its direction may listen still, and looks just like one that is gone until something is sent to it.
    /// </param>
    public virtual IDisposable? WatchSource(ReadOnlyMemory<byte> probe) => null;

    /// <summary>
    /// Has a method called, on any thread, when the source turns out to need what this side cannot give: at once if it did already. It must not block. Called once.
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

    /// <summary>Makes the reader, and a writer on the return path, return with an error within 100 ms. Any thread; it does not block.</summary>
    public abstract void Shutdown(string reason);

    /// <summary>Tells the source that this side gives up, as far as the channel can. Call it after the reader has returned.</summary>
    public virtual void SendError()
    {
    }

    /// <summary>Closes the channel. The reader must have returned.</summary>
    public abstract void Dispose();
}
