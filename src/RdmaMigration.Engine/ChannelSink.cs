using System.Runtime.InteropServices;
using RdmaMigration.Streams;
using RdmaMigration.Transport;
using Tmds.Linux;

namespace RdmaMigration.Engine;

/// <summary>The stream's writer over the channel.</summary>
internal sealed class ChannelSink(OutgoingChannel channel) : IStreamSink
{
    public void Write(ReadOnlySpan<byte> bytes) => channel.Write(bytes);

    /// <summary>An <see cref="IoSegment"/> is laid out as struct iovec.</summary>
    public void WriteGather(ReadOnlySpan<IoSegment> segments) => channel.WriteGather(MemoryMarshal.Cast<IoSegment, iovec>(segments));
}
