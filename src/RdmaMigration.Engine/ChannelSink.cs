using System.Runtime.InteropServices;
using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>The stream's writer over the output.</summary>
internal sealed class ChannelSink(ChannelOutput output) : IStreamSink
{
    public void Write(ReadOnlySpan<byte> bytes) => output.Write(bytes);

    /// <summary>An <see cref="IoSegment"/> is laid out as struct iovec.</summary>
    public void WriteGather(ReadOnlySpan<IoSegment> segments) => output.WriteGather(MemoryMarshal.Cast<IoSegment, IoVector>(segments));
}
