namespace RdmaMigration.Transport;

/// <summary>Over a stream socket: TCP, UNIX domain, or one that this process was given. It has a return path.</summary>
internal sealed class SocketOutgoingChannel(PolledDescriptor descriptor, string scheme) : DescriptorOutgoingChannel(descriptor, scheme)
{
    /// <inheritdoc/>
    public override ChannelOutput Output { get; } = new Writer(descriptor);

    /// <inheritdoc/>
    public override ChannelInput Input { get; } = new Reader(descriptor);

    private sealed class Writer(PolledDescriptor descriptor) : DescriptorOutput(descriptor)
    {
        /// <summary>Closes the direction to the destination. The return path stays open.</summary>
        protected override void End()
        {
            Descriptor.ThrowIfLost();

            // A connection that is gone already shows at the next read.
            _ = Linux.Descriptor.ShutDownWriting(Descriptor.Number);
        }
    }

    private sealed class Reader(PolledDescriptor descriptor) : ChannelInput
    {
        protected override int ReadBytes(Span<byte> buffer, TimeSpan idle) => descriptor.Read(buffer, idle) switch
        {
            0 => throw descriptor.Disconnected(),
            { } count => count,
            null => 0,
        };
    }
}
