using System.Buffers;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// Writes a captured machine as a migration stream that any QEMU with the same machine type loads (protocol E.5): one complete RAM section, device state as
/// it came in. Ordinarily the pages are in the stream; with an <see cref="IRamCarrier"/> they go beside it, and the stream has HOOKs (protocol B.8).
/// Keeps no state; one thread a call.
/// </summary>
public static class CaptureWriter
{
    /// <summary>The most segments in one <see cref="IStreamSink.WriteGather"/>: Linux's IOV_MAX.</summary>
    public const int MaxSegments = 1024;

    /// <summary>The value of the PING that follows OPEN_RETURN_PATH; QEMU sends the same.</summary>
    public const uint PingValue = 1;

    private static readonly CaptureWriterOptions s_ordinary = new();

    /// <summary>Writes the whole stream in its ordinary form, see the other overload.</summary>
    public static ulong Write(CapturedStream stream, IStreamSink sink, Action<CaptureProgress>? progress = null, CancellationToken cancellation = default) =>
        Write(stream, sink, s_ordinary, progress, cancellation);

    /// <summary>Writes the whole stream. Pages are handed to the sink where they lie; holes are written as zero pages and never read.</summary>
    /// <param name="stream">The machine; its RAM blocks must not change meanwhile.</param>
    /// <param name="sink">Where the bytes go; it is neither flushed nor closed.</param>
    /// <param name="options">The form.</param>
    /// <param name="progress">Told after each batch and at each stage, on this thread; may be null.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>Bytes written.</returns>
    /// <exception cref="IOException">The sink or the carrier failed.</exception>
    /// <exception cref="InvalidOperationException">There is a carrier, and a block is left out of the stream: no carrier can tell the destination so.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the sink has part of the stream.</exception>
    public static ulong Write(
        CapturedStream stream, IStreamSink sink, CaptureWriterOptions options, Action<CaptureProgress>? progress, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(sink);
        ArgumentNullException.ThrowIfNull(options);
        if (options.Carrier is not null && Enumerable.Range(0, stream.Blocks.Count).Any(stream.IsLeftOut))
        {
            throw new InvalidOperationException("a block is left out of the stream, and RAM is to go beside it");
        }

        SinkBuffer to = new(sink);
        ulong total = stream.RamLength;
        ulong zero = 0;
        void Report(CaptureStage stage)
        {
            // Told first: whoever cancels is to know how far the stream had come.
            progress?.Invoke(new CaptureProgress(total, zero, total, to.Written, stage));
            cancellation.ThrowIfCancellationRequested();
        }

        if (!options.IsOpened)
        {
            WriteOpening(to, stream.Configuration);
        }

        WriteBeforeRam(to, stream, options.OpenReturnPath);
        WriteRamStart(to, stream, options.Carrier);
        zero = WriteRamEnd(to, stream, options.Carrier, progress, cancellation);
        Report(CaptureStage.DeviceState);
        to.Append(stream.DeviceState);
        to.Flush();
        if (stream.VmDescription is { } json)
        {
            Report(CaptureStage.VmDescription);
            to.Bytes.WriteByte(SectionType.VmDescription);
            to.Bytes.WriteUInt32((uint)json.Length);
            to.Append(json.Span);
            to.Flush();
        }

        progress?.Invoke(new CaptureProgress(total, zero, total, to.Written, CaptureStage.Complete));
        return to.Written;
    }

    /// <summary>Writes the beginning of a stream, which needs no more than the configuration; <see cref="CaptureWriterOptions.IsOpened"/> goes on from there.</summary>
    /// <exception cref="IOException">The sink failed.</exception>
    public static void WriteOpening(StreamConfiguration configuration, IStreamSink sink)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(sink);
        SinkBuffer to = new(sink);
        WriteOpening(to, configuration);
        to.Flush();
    }

    private static void WriteOpening(SinkBuffer to, StreamConfiguration configuration)
    {
        to.Bytes.WriteUInt32(Wire.Magic);
        to.Bytes.WriteUInt32(Wire.Version);
        to.Append(configuration.Encoded.Span);
    }

    private static void WriteBeforeRam(SinkBuffer to, CapturedStream stream, bool openReturnPath)
    {
        if (openReturnPath)
        {
            WriteCommand(to.Bytes, MigrationCommand.OpenReturnPath, 0);
            WriteCommand(to.Bytes, MigrationCommand.Ping, sizeof(uint));
            to.Bytes.WriteUInt32(PingValue);
        }

        to.Append(stream.SectionsBeforeRam);
    }

    private static void WriteRamStart(SinkBuffer to, CapturedStream stream, IRamCarrier? carrier)
    {
        WriteHeader(to.Bytes, stream, SectionType.Start);
        WriteBlockList(to.Bytes, stream);
        if (carrier is not null)
        {
            to.Bytes.WriteUInt64(RamFlags.Hook);
            to.Flush();
            carrier.ExchangeBlocks(stream.RamBlocks);
        }

        WriteEndOfSection(to.Bytes, stream);
        to.Append(stream.SectionsAmidRam);
        if (stream.HasSwitchoverStart)
        {
            WriteCommand(to.Bytes, MigrationCommand.SwitchoverStart, 0);
        }
    }

    /// <summary>Returns the bytes of RAM that were written as zero pages.</summary>
    private static ulong WriteRamEnd(
        SinkBuffer to, CapturedStream stream, IRamCarrier? carrier, Action<CaptureProgress>? progress, CancellationToken cancellation)
    {
        ulong zero = 0;
        WriteHeader(to.Bytes, stream, SectionType.End);
        if (carrier is not null)
        {
            to.Bytes.WriteUInt64(RamFlags.Hook);
            to.Flush();
            carrier.SendPages();
        }
        else
        {
            using PageWriter pages = new(stream, to, progress, cancellation);
            zero = pages.WriteAll();
        }

        WriteEndOfSection(to.Bytes, stream);
        return zero;
    }

    private static void WriteCommand(ArrayBufferWriter<byte> to, MigrationCommand command, ushort length)
    {
        to.WriteByte(SectionType.Command);
        to.WriteUInt16((ushort)command);
        to.WriteUInt16(length);
    }

    private static void WriteHeader(ArrayBufferWriter<byte> to, CapturedStream stream, byte type)
    {
        SectionHeader header = new(type, stream.RamSectionId, Wire.RamSection, 0, Wire.RamVersion);
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

    private static void WriteEndOfSection(ArrayBufferWriter<byte> to, CapturedStream stream)
    {
        to.WriteUInt64(RamFlags.EndOfSection);
        if (stream.HasFooters)
        {
            to.WriteByte(SectionType.Footer);
            to.WriteUInt32(stream.RamSectionId);
        }
    }
}
