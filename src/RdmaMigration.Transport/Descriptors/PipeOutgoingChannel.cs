namespace RdmaMigration.Transport;

/// <summary>Into a pipe, a FIFO, or a character device. Nothing shows who reads it, or whether to the end.</summary>
internal sealed class PipeOutgoingChannel(PolledDescriptor descriptor, string scheme) : DescriptorOutgoingChannel(descriptor, scheme)
{
    /// <inheritdoc/>
    public override ChannelOutput Output { get; } = new Writer(descriptor);

    private sealed class Writer(PolledDescriptor descriptor) : DescriptorOutput(descriptor)
    {
        /// <summary>Closes the pipe.</summary>
        protected override void End()
        {
            Descriptor.ThrowIfLost();
            Descriptor.Close();
        }
    }
}
