using Tmds.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The IO channel of an outgoing migration. One thread writes, one may read the <see cref="ReturnPath"/>; <see cref="Shutdown"/> and the properties are for
/// any thread. The owner joins both threads and then disposes the channel, before it frees the memory that was handed to it.
/// </summary>
public abstract class OutgoingChannel : IDisposable
{
    /// <summary>Called before each write or wait. The engine asserts here that the big lock is not held.</summary>
    public Action? BeforeIo { get; set; }

    /// <summary>Called by <see cref="Dispose"/>, which does not throw, with what it could not clean up, in words.</summary>
    public Action<string>? LeftBehind { get; set; }

    /// <summary>The most bytes a second that are sent; null for no limit. Set before the first write.</summary>
    public BandwidthLimit? Limit { get; set; }

    /// <summary>The destination, for messages: address and port, path, command.</summary>
    public abstract string Peer { get; }

    /// <summary>Why the channel is errored, or null. The first reason stays.</summary>
    public abstract ConnectionLostException? Lost { get; }

    /// <summary>Bytes that the destination's side has taken so far, RAM that travelled beside the stream included.</summary>
    public abstract long SentBytes { get; }

    /// <summary>The way back from the destination, when this channel has one.</summary>
    public virtual ReturnPathReader? ReturnPath => null;

    /// <summary>Sends all of the bytes; returns when the memory may be reused.</summary>
    /// <exception cref="TransportException">The channel is lost, or the peer broke the protocol.</exception>
    public abstract void Write(ReadOnlySpan<byte> bytes);

    /// <summary>Sends all bytes of all segments, in order; returns when the memory may be reused.</summary>
    /// <param name="segments">1 to 1024 segments (IOV_MAX), none empty.</param>
    /// <exception cref="TransportException">The channel is lost, or the peer broke the protocol.</exception>
    public abstract void WriteGather(ReadOnlySpan<iovec> segments);

    /// <summary>
    /// Says that nothing more comes, where the channel can say that (a socket's write side is closed, a command's input ends, a file is synchronised), and
    /// waits for what only then is known: a command's exit code.
    /// </summary>
    /// <exception cref="TransportException">The channel is lost, or what was sent was not taken.</exception>
    public abstract void Finish();

    /// <summary>When <see cref="Finish"/> returns, all that was sent has been taken: a command said so with its exit code, a file is on its disk.</summary>
    public virtual bool FinishConfirms => false;

    /// <summary>Makes the writer, and a reader of the return path, return with an error within 100 ms. Any thread; it does not block.</summary>
    public abstract void Shutdown(string reason);

    /// <summary>Tells the destination that this side gives up, as far as the channel can. Call it after the writer has returned.</summary>
    public virtual void SendError()
    {
    }

    /// <summary>Closes the channel. Both threads must have returned.</summary>
    public abstract void Dispose();
}

/// <summary>The way back: the bytes that the destination sends (protocol D.2). One thread reads; the channel owns it.</summary>
public abstract class ReturnPathReader
{
    /// <summary>Blocks for at least one byte; 0 when the destination closed the way back.</summary>
    /// <exception cref="TransportException">The channel is lost, or the peer broke the protocol.</exception>
    public abstract int Read(Span<byte> buffer);
}
