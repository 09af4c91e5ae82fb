using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>Over a stream socket: TCP, UNIX domain, or one that was handed to this process. It has a way back.</summary>
internal sealed class SocketOutgoingChannel : DescriptorOutgoingChannel
{
    public SocketOutgoingChannel(PolledDescriptor descriptor) : base(descriptor) => ReturnPath = new Reader(this);

    /// <inheritdoc/>
    public override ReturnPathReader ReturnPath { get; }

    /// <summary>Closes the direction to the destination. The way back stays open.</summary>
    public override void Finish()
    {
        BeforeIo?.Invoke();
        Descriptor.ThrowIfLost();

        // A connection that is gone already shows at the next read.
        _ = shutdown(Descriptor.Number, SHUT_WR);
    }

    private sealed class Reader(SocketOutgoingChannel channel) : ReturnPathReader
    {
        public override int Read(Span<byte> buffer)
        {
            channel.BeforeIo?.Invoke();
            return channel.Descriptor.Read(buffer, Timeout.InfiniteTimeSpan) ?? 0;
        }
    }
}
