using System.Threading.Tasks.Sources;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The descriptor below TLS. It never waits for bytes: a read that finds none is parked, and <see cref="TryResume"/> completes it, on the caller's thread, when
/// some have come. One thread reads, one writes.
/// </summary>
/// <param name="descriptor">The descriptor; not owned.</param>
/// <param name="ahead">Bytes that were read already.</param>
internal sealed class TlsTransport(PolledDescriptor descriptor, ReadOnlyMemory<byte> ahead) : Stream, IValueTaskSource<int>
{
    private readonly DescriptorWriter _writer = new(descriptor);
    private ReadOnlyMemory<byte> _ahead = ahead;
    private ManualResetValueTaskSourceCore<int> _parked;
    private Memory<byte> _into;
    private volatile bool _isParked;

    /// <summary>A read waits for <see cref="TryResume"/>.</summary>
    public bool IsParked => _isParked;

    /// <summary>Bytes of records that the kernel has taken. Any thread.</summary>
    public long Written => _writer.Written;

    /// <summary>Writing waits for room; false until the handshake is over, since its few bytes always find room in a new connection.</summary>
    public bool MayWait { get; set; }

    /// <summary>A shutdown still lets a last record out, if there is room.</summary>
    public bool WritesLast { get; init; }

    /// <summary>The rate, or null. Set by the writing thread.</summary>
    public BandwidthLimit? Limit { get; set; }

    /// <summary>The longest wait for the other side to take a byte. Set by the writing thread.</summary>
    public TimeSpan Patience { get; set; } = Timeout.InfiniteTimeSpan;

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Gives the parked read what has come; false when nothing has.</summary>
    public bool TryResume()
    {
        int count;
        try
        {
            if (TryRead(_into.Span) is not { } found)
            {
                return false;
            }

            count = found;
        }
        catch (ConnectionLostException lost)
        {
            _isParked = false;
            _parked.SetException(lost);
            return true;
        }

        _isParked = false;
        _parked.SetResult(count);
        return true;
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (TryRead(buffer.Span) is { } count)
        {
            return new ValueTask<int>(count);
        }

        _into = buffer;
        _parked.Reset();
        ValueTask<int> parked = new(this, _parked.Version);
        _isParked = true;
        return parked;
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (WritesLast && descriptor.Lost is { Loss: ConnectionLoss.Shutdown })
        {
            _writer.WriteLast(buffer);
        }
        else if (MayWait)
        {
            _writer.Write(buffer, Limit, Patience);
        }
        else
        {
            _writer.Write(buffer, limit: null, TimeSpan.Zero);
        }
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.Span);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("reads are parked: use ReadAsync");

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    int IValueTaskSource<int>.GetResult(short token) => _parked.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _parked.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _parked.OnCompleted(continuation, state, token, flags);

    /// <summary>Reads what is there; 0 at the end of the bytes, null when nothing is there.</summary>
    private int? TryRead(Span<byte> buffer)
    {
        if (!_ahead.IsEmpty)
        {
            int taken = Math.Min(buffer.Length, _ahead.Length);
            _ahead.Span[..taken].CopyTo(buffer);
            _ahead = _ahead[taken..];
            return taken;
        }

        while (true)
        {
            CallResult read = Descriptor.Read(descriptor.Number, buffer);
            switch (read.Error)
            {
                case Errno.None:
                    return (int)read.Value;
                case Errno.EAGAIN:
                    return null;
                case Errno.EINTR:
                    break;
                default:
                    descriptor.FailFor(read.Error, "read");
                    descriptor.ThrowIfLost();
                    break;
            }
        }
    }
}
