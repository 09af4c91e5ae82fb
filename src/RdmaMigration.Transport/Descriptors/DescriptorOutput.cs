using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>Bytes to a descriptor, from the caller's memory to the kernel in one step. How they end depends on what the descriptor is.</summary>
internal abstract class DescriptorOutput(PolledDescriptor descriptor) : ChannelOutput
{
    private readonly DescriptorWriter _writer = new(descriptor);

    /// <inheritdoc/>
    public sealed override long SentBytes => _writer.Written;

    protected PolledDescriptor Descriptor => descriptor;

    /// <inheritdoc/>
    protected sealed override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience) => _writer.Write(bytes, Limit, patience);

    /// <inheritdoc/>
    protected sealed override void WriteSegments(ReadOnlySpan<IoVector> segments) => _writer.Write(segments, Limit, Timeout.InfiniteTimeSpan);
}
