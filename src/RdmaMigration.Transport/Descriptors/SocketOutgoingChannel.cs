namespace RdmaMigration.Transport;

/// <summary>Over a stream socket: TCP, UNIX domain, or one that this process was given. It has a return path.</summary>
/// <param name="descriptor">The socket; owned.</param>
/// <param name="scheme">What kind it is.</param>
/// <param name="tls">Encrypts what goes over it; owned. Null for none.</param>
internal sealed class SocketOutgoingChannel(PolledDescriptor descriptor, string scheme, TlsSession? tls = null)
    : DescriptorOutgoingChannel(descriptor, scheme)
{
    /// <inheritdoc/>
    public override bool IsEncrypted => tls is not null;

    /// <inheritdoc/>
    public override ChannelOutput Output { get; } = tls is null ? new Writer(descriptor) : new TlsOutput(descriptor, tls);

    /// <inheritdoc/>
    public override ChannelInput Input { get; } = new Reader(descriptor, tls);

    /// <inheritdoc/>
    public override void Dispose()
    {
        tls?.Dispose();
        base.Dispose();
    }

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

    private sealed class Reader(PolledDescriptor descriptor, TlsSession? tls) : ChannelInput
    {
        protected override int ReadBytes(Span<byte> buffer, TimeSpan idle) => (tls is null ? descriptor.Read(buffer, idle) : tls.Read(buffer, idle)) switch
        {
            0 => throw descriptor.Disconnected(),
            { } count => count,
            null => 0,
        };
    }
}
