using RdmaMigration.Linux;

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
            CallResult synchronised = Linux.Descriptor.Sync(Descriptor.Number);
            if (synchronised.Failed)
            {
                Descriptor.Fail(ConnectionLoss.TransportError, $"{Descriptor.Peer}: cannot synchronise: {synchronised.Error.Text()}");
                Descriptor.ThrowIfLost();
            }
        }
    }
}
