using System.Buffers;
using RdmaMigration.Memory;

namespace RdmaMigration.Stream;

/// <summary>
/// Writes a captured machine as an ordinary migration stream that any QEMU with the same machine type loads from a file, a pipe or a socket
/// (protocol E.5): one complete RAM section, no return path, no RDMA. Device state goes out as it came in. Keeps no state; one thread a call.
/// </summary>
public static class CaptureWriter
{
    /// <summary>The most segments in one <see cref="IStreamSink.WriteGather"/>: Linux's IOV_MAX.</summary>
    public const int MaxSegments = 1024;

    /// <summary>Writes the whole stream. Pages are handed to the sink where they lie; holes are written as zero pages and never read.</summary>
    /// <param name="stream">The machine; its RAM blocks must not change meanwhile.</param>
    /// <param name="sink">Where the bytes go; it is neither flushed nor closed.</param>
    /// <param name="progress">Told after each batch, on this thread; may be null.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>Bytes written.</returns>
    /// <exception cref="IOException">The sink failed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the sink has part of the stream.</exception>
    public static ulong Write(CapturedStream stream, IStreamSink sink, Action<CaptureProgress>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(sink);
        var framing = new ArrayBufferWriter<byte>();
        framing.WriteUInt32(Wire.Magic);
        framing.WriteUInt32(Wire.Version);
        framing.Write(stream.Configuration.Encoded.Span);
        ulong written = Flush(framing, sink) + WriteSequence(stream.SectionsBeforeRam, sink);

        WriteHeader(framing, stream, SectionType.Start);
        WriteBlockList(framing, stream);
        framing.WriteUInt64(RamFlags.EndOfSection);
        WriteFooter(framing, stream);
        written += Flush(framing, sink) + WriteSequence(stream.SectionsAmidRam, sink);

        if (stream.HasSwitchoverStart)
        {
            framing.WriteByte(SectionType.Command);
            framing.WriteUInt16((ushort)MigrationCommand.SwitchoverStart);
            framing.WriteUInt16(0);
        }

        WriteHeader(framing, stream, SectionType.End);
        written += Flush(framing, sink);
        using (var pages = new PageWriter(stream, sink, written, progress, cancellation))
        {
            written = pages.WriteAll();
        }

        framing.WriteUInt64(RamFlags.EndOfSection);
        WriteFooter(framing, stream);
        written += Flush(framing, sink) + WriteSequence(stream.DeviceState, sink);
        if (stream.VmDescription is { } json)
        {
            framing.WriteByte(SectionType.VmDescription);
            framing.WriteUInt32((uint)json.Length);
            framing.Write(json.Span);
            written += Flush(framing, sink);
        }

        ulong total = stream.RamBlocks.TotalLength;
        progress?.Invoke(new CaptureProgress(total, total, written));
        return written;
    }

    private static void WriteHeader(ArrayBufferWriter<byte> to, CapturedStream stream, byte type)
    {
        var header = new SectionHeader(type, stream.RamSectionId, Wire.RamSection, 0, Wire.RamVersion);
        to.Advance(header.Encode(to.GetSpan(SectionHeader.MaxLength)));
    }

    /// <summary>The MEM_SIZE entry. Page sizes are left out, as POSTCOPY_ADVISE is; guest addresses stay, as the capability does.</summary>
    private static void WriteBlockList(ArrayBufferWriter<byte> to, CapturedStream stream)
    {
        to.WriteUInt64(stream.RamBlocks.TotalLength | RamFlags.MemSize);
        foreach (RamBlockDescription block in stream.Blocks)
        {
            to.WriteName(block.Name);
            to.WriteUInt64(block.Length);
            if (block.GuestAddress is { } address)
            {
                to.WriteUInt64(address);
            }
        }
    }

    private static void WriteFooter(ArrayBufferWriter<byte> to, CapturedStream stream)
    {
        if (stream.HasFooters)
        {
            to.WriteByte(SectionType.Footer);
            to.WriteUInt32(stream.RamSectionId);
        }
    }

    private static ulong Flush(ArrayBufferWriter<byte> bytes, IStreamSink sink)
    {
        ulong count = (ulong)bytes.WrittenCount;
        if (count > 0)
        {
            sink.Write(bytes.WrittenSpan);
            bytes.ResetWrittenCount();
        }

        return count;
    }

    private static ulong WriteSequence(ReadOnlySequence<byte> bytes, IStreamSink sink)
    {
        foreach (ReadOnlyMemory<byte> piece in bytes)
        {
            sink.Write(piece.Span);
        }

        return (ulong)bytes.Length;
    }
}
