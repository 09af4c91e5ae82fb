using RdmaMigration.Linux;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <content>Writing: straight from the caller's memory, and within a rate.</content>
internal sealed unsafe partial class PolledDescriptor
{
    /// <summary>The most bytes of one system call: a file's write is not interruptible, and 4 MiB are written within 100 ms by what can store a machine at all.</summary>
    private const int MostBytes = 4 << 20;

    /// <summary>What is left to write. The caller's list is not ours to change, and a write may end amid a segment.</summary>
    private readonly iovec* _segments;

    private long _written;

    /// <summary>Bytes that the kernel has taken.</summary>
    public long Written => Volatile.Read(ref _written);

    /// <summary>Writes all bytes of all segments.</summary>
    /// <param name="segments">1 to 1024, none empty.</param>
    /// <param name="limit">The rate, or null.</param>
    /// <param name="patience">The longest wait for the other side to take a byte.</param>
    /// <exception cref="ConnectionLostException">The descriptor is errored.</exception>
    /// <exception cref="TransportException">The other side took nothing for so long.</exception>
    public void Write(ReadOnlySpan<iovec> segments, BandwidthLimit? limit, TimeSpan patience)
    {
        segments.CopyTo(new Span<iovec>(_segments, GatheredWrite.MostSegments));
        iovec* next = _segments;
        iovec* end = next + segments.Length;
        while (next < end)
        {
            ThrowIfLost();
            int most = MostBytes;
            if (limit is not null)
            {
                most = limit.Portion(MostBytes);
                KeepTo(limit);
            }

            nint written = WriteSome(next, end, most);
            if (written < 0)
            {
                OnWriteError(errno, patience);
                continue;
            }

            limit?.Sent(written);
            Volatile.Write(ref _written, _written + written);
            next = Advance(next, end, (ulong)written);
        }
    }

    /// <summary>Writes a few bytes although the descriptor was shut down here: now or never.</summary>
    /// <exception cref="TransportException">The other side does not take them.</exception>
    public void WriteLast(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* first = bytes)
        {
            nint written = (nint)write(_descriptor, first, bytes.Length);
            if (written < bytes.Length)
            {
                throw new TransportException(
                    FailureReason.Disconnected, written < 0 ? $"{Peer}: write: {ErrorText.Of(errno)}" : $"{Peer} took {written} of {bytes.Length} bytes");
            }
        }
    }

    private static iovec* Advance(iovec* next, iovec* end, ulong written)
    {
        while (next < end && written >= (ulong)next->iov_len)
        {
            written -= next->iov_len;
            next++;
        }

        if (next < end)
        {
            next->iov_base = (byte*)next->iov_base + written;
            next->iov_len = (size_t)((ulong)next->iov_len - written);
        }

        return next;
    }

    private nint WriteSome(iovec* next, iovec* end, int most)
    {
        ulong bytes = 0;
        int count = 0;
        while (next + count < end && bytes + (ulong)next[count].iov_len <= (ulong)most)
        {
            bytes += (ulong)next[count++].iov_len;
        }

        return count == 0 ? (nint)write(_descriptor, next->iov_base, most) : GatheredWrite.writev(_descriptor, next, count);
    }

    private void OnWriteError(int error, TimeSpan patience)
    {
        if (error == EAGAIN)
        {
            if (!Wait(POLLOUT, patience))
            {
                throw new TransportException(FailureReason.Timeout, $"{Peer} took nothing within {patience.TotalSeconds:0.#} s");
            }
        }
        else if (error != EINTR)
        {
            FailWith(error, "write");
        }
    }

    private void KeepTo(BandwidthLimit limit)
    {
        while (limit.Pause is { Ticks: > 0 } pause)
        {
            Pause(pause);
        }
    }
}
