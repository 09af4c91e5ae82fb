using Tmds.Linux;

namespace RdmaMigration.Transport;

/// <summary>Bytes to a descriptor, from the caller's memory to the kernel in one step. How they end depends on what the descriptor is.</summary>
internal abstract unsafe class DescriptorOutput(PolledDescriptor descriptor) : ChannelOutput
{
    /// <inheritdoc/>
    public sealed override long SentBytes => Descriptor.Written;

    protected PolledDescriptor Descriptor => descriptor;

    /// <inheritdoc/>
    protected sealed override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience)
    {
        if (bytes.Length > 0)
        {
            fixed (byte* first = bytes)
            {
                iovec all = new() { iov_base = first, iov_len = bytes.Length };
                Descriptor.Write(new ReadOnlySpan<iovec>(in all), Limit, patience);
            }
        }
    }

    /// <inheritdoc/>
    protected sealed override void WriteSegments(ReadOnlySpan<iovec> segments) => Descriptor.Write(segments, Limit, Timeout.InfiniteTimeSpan);
}
