using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>Writes to a descriptor, straight from the caller's memory and within a rate. One thread uses it.</summary>
internal sealed unsafe class DescriptorWriter(PolledDescriptor descriptor)
{
    /// <summary>
    /// The most bytes of one system call: a file's write is not interruptible, and 4 MiB are written within 100 ms by what can store a machine at
    /// all.
    /// </summary>
    private const int MostBytes = 4 << 20;

    /// <summary>What is left to write. The caller's list is not ours to change, and a write may end within a vector.</summary>
    private IoVector[] _left = [];

    private long _written;

    /// <summary>Bytes that the kernel has taken. Any thread.</summary>
    public long Written => Volatile.Read(ref _written);

    /// <summary>Writes all bytes of all vectors.</summary>
    /// <param name="vectors">1 to <see cref="Descriptor.MostVectors"/>, none empty.</param>
    /// <param name="limit">The rate, or null.</param>
    /// <param name="patience">The longest wait for the other side to take a byte.</param>
    /// <exception cref="ConnectionLostException">The descriptor is errored.</exception>
    /// <exception cref="TransportException">The other side took nothing within the patience.</exception>
    public void Write(ReadOnlySpan<IoVector> vectors, BandwidthLimit? limit, TimeSpan patience)
    {
        if (_left.Length < vectors.Length)
        {
            _left = new IoVector[vectors.Length == 1 ? 1 : Descriptor.MostVectors];
        }

        Span<IoVector> left = _left.AsSpan(0, vectors.Length);
        vectors.CopyTo(left);
        while (!left.IsEmpty)
        {
            descriptor.ThrowIfLost();
            int most = MostBytes;
            if (limit is not null)
            {
                KeepTo(limit);
                most = limit.Portion(MostBytes);
            }

            CallResult written = WriteSome(left, most);
            if (written.Failed)
            {
                OnError(written.Error, patience);
                continue;
            }

            limit?.Sent((nint)written.Value);
            Volatile.Write(ref _written, _written + written.Value);
            left = Behind(left, (nuint)written.Value);
        }
    }

    /// <summary>Writes all bytes.</summary>
    /// <inheritdoc cref="Write(ReadOnlySpan{IoVector}, BandwidthLimit?, TimeSpan)"/>
    public void Write(ReadOnlySpan<byte> bytes, BandwidthLimit? limit, TimeSpan patience)
    {
        if (bytes.Length > 0)
        {
            fixed (byte* first = bytes)
            {
                IoVector all = new() { Address = first, Length = (nuint)bytes.Length };
                Write(new ReadOnlySpan<IoVector>(in all), limit, patience);
            }
        }
    }

    /// <summary>Writes a few bytes although the descriptor was shut down here: now or never.</summary>
    /// <exception cref="TransportException">The other side does not take them.</exception>
    public void WriteLast(ReadOnlySpan<byte> bytes)
    {
        CallResult written = Descriptor.Write(descriptor.Number, bytes);
        if (written.Failed || written.Value < bytes.Length)
        {
            throw new TransportException(
                FailureReason.Disconnected,
                written.Failed ? $"{descriptor.Peer}: write: {written.Error.Text()}" : $"{descriptor.Peer} took {written.Value} of {bytes.Length} bytes");
        }
    }

    private static Span<IoVector> Behind(Span<IoVector> left, nuint written)
    {
        while (!left.IsEmpty && written >= left[0].Length)
        {
            written -= left[0].Length;
            left = left[1..];
        }

        if (!left.IsEmpty)
        {
            left[0].Address += written;
            left[0].Length -= written;
        }

        return left;
    }

    private CallResult WriteSome(Span<IoVector> left, int most)
    {
        nuint bytes = 0;
        int count = 0;
        while (count < left.Length && bytes + left[count].Length <= (nuint)most)
        {
            bytes += left[count++].Length;
        }

        return count == 0
            ? Descriptor.Write(descriptor.Number, new ReadOnlySpan<byte>(left[0].Address, most))
            : Descriptor.WriteGathered(descriptor.Number, left[..count]);
    }

    private void OnError(Errno error, TimeSpan patience)
    {
        if (error is Errno.EAGAIN)
        {
            if (!descriptor.Wait(PollEvents.Writable, patience))
            {
                throw new TransportException(FailureReason.Timeout, $"{descriptor.Peer} took nothing within {patience.TotalSeconds:0.#} s");
            }
        }
        else if (error is not Errno.EINTR)
        {
            descriptor.FailFor(error, "write");
            descriptor.ThrowIfLost();
        }
    }

    private void KeepTo(BandwidthLimit limit)
    {
        while (limit.Pause is { Ticks: > 0 } pause)
        {
            descriptor.Pause(pause);
        }
    }
}
