using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>Into a file or a block device. What was written before a failure stays in it.</summary>
internal sealed class FileOutgoingChannel(PolledDescriptor descriptor, string scheme) : DescriptorOutgoingChannel(descriptor, scheme)
{
    /// <inheritdoc/>
    public override ChannelOutput Output { get; } = new Writer(descriptor);

    private sealed class Writer(PolledDescriptor descriptor) : DescriptorOutput(descriptor)
    {
        /// <inheritdoc/>
        public override bool FinishProves => true;

        /// <summary>Synchronises the file. <see cref="Channel.Shutdown"/> does not shorten this wait: it is the disk's.</summary>
        protected override void End()
        {
            Descriptor.ThrowIfLost();
            if (fsync(Descriptor.Number) != 0)
            {
                Descriptor.Fail(ConnectionLoss.TransportError, $"{Descriptor.Peer}: cannot synchronise: {ErrorText.Of(errno)}");
                Descriptor.ThrowIfLost();
            }
        }
    }
}
