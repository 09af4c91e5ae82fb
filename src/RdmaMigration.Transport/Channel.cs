using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The connection of one migration: bytes in, bytes out, and, over RDMA, RAM beside them. One thread reads <see cref="Input"/>, one writes <see
/// cref="Output"/>;
/// <see cref="Shutdown"/> and the properties are for any thread. The owner joins both threads, then disposes the channel, then frees the RAM blocks.
/// </summary>
internal abstract class Channel : IDisposable
{
    /// <summary>Called by <see cref="Dispose"/>, which does not throw, with what it could not clean up, in words.</summary>
    public Action<string>? LeftBehind { get; set; }

    /// <summary>The other side, for messages: address and port, path, command.</summary>
    public abstract string Peer { get; }

    /// <summary>The RDMA device's name, or the kind of channel.</summary>
    public abstract string Device { get; }

    /// <summary>What goes over it is encrypted, and the other side has shown a certificate.</summary>
    public virtual bool IsEncrypted => false;

    /// <summary>Why the channel failed; null while it works. The first reason stays.</summary>
    public abstract ConnectionLostException? Lost { get; }

    /// <summary>Bytes from the other side; null when it sends none.</summary>
    public virtual ChannelInput? Input => null;

    /// <summary>Bytes to the other side; null when it takes none.</summary>
    public virtual ChannelOutput? Output => null;

    /// <summary>Makes blocked reads and writes fail within 100 ms. Does not block. Any thread.</summary>
    public abstract void Shutdown(string reason);

    /// <summary>Sends the other side an error, if the channel has one to send. Call it after the last read and write.</summary>
    /// <exception cref="TransportException">The other side did not take it.</exception>
    public void SendError()
    {
        BlockingCalls.AssertAllowed();
        WriteError();
    }

    /// <summary>Closes the channel. Both threads must have returned.</summary>
    public abstract void Dispose();

    /// <summary>Does what <see cref="SendError"/> says.</summary>
    protected virtual void WriteError()
    {
    }
}

/// <summary>The bytes that come in over a channel. One thread reads.</summary>
internal abstract class ChannelInput
{
    /// <summary>Blocks for bytes: at least 1 for a buffer that is not empty, or 0 when none came within <paramref name="idle"/>.</summary>
    /// <exception cref="ConnectionLostException">
    /// The channel failed. <see cref="ConnectionLoss.Disconnected"/> also ends an ordinary stream; over a socket the other direction may still be open.
    /// </exception>
    /// <exception cref="TransportException">The peer broke the protocol, or memory cannot be registered.</exception>
    public int Read(Span<byte> buffer, TimeSpan idle)
    {
        BlockingCalls.AssertAllowed();
        return ReadBytes(buffer, idle);
    }

    /// <summary>Does what <see cref="Read"/> says.</summary>
    protected abstract int ReadBytes(Span<byte> buffer, TimeSpan idle);
}

/// <summary>The bytes that go out over a channel. One thread writes.</summary>
internal abstract class ChannelOutput
{
    /// <summary>The most bytes a second; null for no limit. Set before the first write.</summary>
    public BandwidthLimit? Limit { get; set; }

    /// <summary>Bytes that the other side's kernel or device has taken, RAM that goes beside the stream included.</summary>
    public virtual long SentBytes => 0;

    /// <summary>What <see cref="Finish"/> will return, known from the start.</summary>
    public virtual bool FinishProves => false;

    /// <summary>Sends all bytes, however long the other side takes; returns when the memory may be reused.</summary>
    /// <exception cref="TransportException">The channel failed, or the peer broke the protocol.</exception>
    public void Write(ReadOnlySpan<byte> bytes) => Write(bytes, Timeout.InfiniteTimeSpan);

    /// <summary>Sends all bytes; returns when the memory may be reused.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="patience">The longest wait for the other side to take some; over RDMA for its READY, and again for the acknowledgement.</param>
    /// <exception cref="TransportException">The other side did not take them in time or broke the protocol, or the channel failed.</exception>
    public void Write(ReadOnlySpan<byte> bytes, TimeSpan patience)
    {
        BlockingCalls.AssertAllowed();
        WriteBytes(bytes, patience);
    }

    /// <summary>Sends all bytes of all segments, in order; returns when the memory may be reused.</summary>
    /// <param name="segments">1 to 1024 segments (IOV_MAX), none empty.</param>
    /// <exception cref="TransportException">The channel failed, or the peer broke the protocol.</exception>
    public void WriteGather(ReadOnlySpan<IoVector> segments)
    {
        BlockingCalls.AssertAllowed();
        WriteSegments(segments);
    }

    /// <summary>
    /// Ends the bytes where the channel can show that (a socket's write side is closed, a command's input ends, a file is synchronised), and waits for what is
    /// known only then: a command's exit code.
    /// </summary>
    /// <returns>True when all that was sent has been taken: a command's exit code said so, a file is on its disk.</returns>
    /// <exception cref="TransportException">The channel failed, or what was sent was not taken.</exception>
    public bool Finish()
    {
        BlockingCalls.AssertAllowed();
        End();
        return FinishProves;
    }

    /// <summary>Does what <see cref="Write(ReadOnlySpan{byte}, TimeSpan)"/> says.</summary>
    protected abstract void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience);

    /// <summary>Does what <see cref="WriteGather"/> says.</summary>
    protected virtual unsafe void WriteSegments(ReadOnlySpan<IoVector> segments)
    {
        foreach (ref readonly IoVector segment in segments)
        {
            WriteBytes(new ReadOnlySpan<byte>(segment.Address, checked((int)segment.Length)), Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Does what <see cref="Finish"/> says.</summary>
    protected virtual void End()
    {
    }
}
