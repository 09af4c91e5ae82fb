using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>Into a file or a block device. What was written before a failure stays in it.</summary>
internal sealed class FileOutgoingChannel(PolledDescriptor descriptor) : DescriptorOutgoingChannel(descriptor)
{
    /// <inheritdoc/>
    public override bool FinishConfirms => true;

    /// <summary>Synchronises the file. This one wait is the disk's: <see cref="OutgoingChannel.Shutdown"/> does not shorten it.</summary>
    public override void Finish()
    {
        BeforeIo?.Invoke();
        Descriptor.ThrowIfLost();
        if (fsync(Descriptor.Number) != 0)
        {
            Descriptor.Fail(ConnectionLoss.TransportError, $"{Peer}: cannot synchronise: {ErrorText.Of(errno)}");
            Descriptor.ThrowIfLost();
        }
    }
}
