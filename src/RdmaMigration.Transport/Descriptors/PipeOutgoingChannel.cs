namespace RdmaMigration.Transport;

/// <summary>Into a pipe, a FIFO, or a device that is none of blocks. Who reads it, and whether to the end, does not show.</summary>
internal sealed class PipeOutgoingChannel(PolledDescriptor descriptor) : DescriptorOutgoingChannel(descriptor)
{
    /// <summary>Closes the pipe.</summary>
    public override void Finish()
    {
        BeforeIo?.Invoke();
        Descriptor.ThrowIfLost();
        Descriptor.Close();
    }
}
