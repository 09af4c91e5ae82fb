using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>Bytes that go out encrypted. They are copied once, into the record buffer.</summary>
internal sealed class TlsOutput(PolledDescriptor descriptor, TlsSession session) : ChannelOutput
{
    /// <inheritdoc/>
    public override long SentBytes => session.Written;

    /// <inheritdoc/>
    protected override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience) => session.Write(bytes, Limit, patience);

    /// <inheritdoc/>
    protected override void WriteSegments(ReadOnlySpan<IoVector> segments) => session.Write(segments, Limit, Timeout.InfiniteTimeSpan);

    /// <summary>Ends TLS in the direction to the destination and closes that direction. The return path stays open.</summary>
    protected override void End()
    {
        descriptor.ThrowIfLost();
        session.End();

        // A connection that is gone already shows at the next read.
        _ = Descriptor.ShutDownWriting(descriptor.Number);
    }
}
