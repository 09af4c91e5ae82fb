namespace RdmaMigration.Streams;

/// <summary>
/// Writes a captured machine as a migration stream that any QEMU with the same machine type loads (FORMAT.md, Writing a stream): one complete RAM section,
/// device state as it came in. Ordinarily the pages are in the stream; with an <see cref="IRamCarrier"/> they go beside it, and the stream has HOOKs
/// (FORMAT.md, Writing a stream). Keeps no state; one thread a call.
/// </summary>
internal static class CaptureWriter
{
    /// <summary>The most segments in one <see cref="IStreamSink.WriteGather"/>: Linux's IOV_MAX.</summary>
    public const int MaxSegments = 1024;

    /// <summary>The value of the PING that follows OPEN_RETURN_PATH; QEMU sends the same.</summary>
    public const uint PingValue = OutgoingStream.PingValue;

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
    /// <exception cref="InvalidOperationException">There is a carrier, and a block is left out of the stream: no carrier can tell the destination
    /// so.</exception>
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

        OutgoingStream to = new(sink) { Carrier = options.Carrier, Progress = progress, Cancellation = cancellation };
        ulong total = stream.RamLength;
        void Report(CaptureStage stage)
        {
            // Told first: whoever cancels is to know how far the stream had come.
            progress?.Invoke(new CaptureProgress(total, to.RamZero, total, to.Written, stage));
            cancellation.ThrowIfCancellationRequested();
        }

        if (!options.IsOpened)
        {
            Open(to, stream.Configuration, options.OpenReturnPath);
        }

        to.WriteSections(stream.SectionsBeforeRam);
        if (stream.RamSectionId is { } id)
        {
            WriteRam(stream, new RamSectionForm(id, stream.HasFooters, stream.Configuration.PageSize), to, options.Verify);
        }

        Report(CaptureStage.DeviceState);
        to.WriteDevices(options.RunState is { } runState ? stream.DeviceStateIn(runState) : stream.DeviceState);
        if (stream.VmDescription is not null)
        {
            Report(CaptureStage.VmDescription);
            to.End(stream.VmDescription);
        }

        progress?.Invoke(new CaptureProgress(total, to.RamZero, total, to.Written, CaptureStage.Complete));
        return to.Written;
    }

    /// <summary>
    /// Writes the beginning of a stream, which needs no more than the configuration; <see cref="CaptureWriterOptions.IsOpened"/> goes on from there.
    /// </summary>
    /// <param name="configuration">The machine's.</param>
    /// <param name="sink">Where the bytes go.</param>
    /// <param name="openReturnPath">As <see cref="CaptureWriterOptions.OpenReturnPath"/>.</param>
    /// <exception cref="IOException">The sink failed.</exception>
    public static void WriteOpening(StreamConfiguration configuration, IStreamSink sink, bool openReturnPath)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(sink);
        OutgoingStream to = new(sink);
        Open(to, configuration, openReturnPath);
        to.Flush();
    }

    private static void Open(OutgoingStream to, StreamConfiguration configuration, bool openReturnPath)
    {
        to.Begin(configuration);
        if (openReturnPath)
        {
            to.OpenReturnPath();
        }
    }

    private static void WriteRam(CapturedStream stream, RamSectionForm ram, OutgoingStream to, bool verify)
    {
        to.WriteRamStart(ram, stream.Blocks, stream.RamBlocks);
        if (verify)
        {
            to.WriteDigests(ram, [.. stream.RamBlocks.Where((_, i) => !stream.IsLeftOut(i))]);
        }

        to.WriteSections(stream.SectionsDuringRam);
        if (stream.HasSwitchoverStart)
        {
            to.SwitchOver();
        }

        to.WriteRamPass(ram, stream.RamBlocks, new CapturedPages(stream), stream.RamLength, isLast: true);
    }
}
