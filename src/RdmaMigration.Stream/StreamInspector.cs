namespace RdmaMigration.Streams;

/// <summary>Reads a migration stream for a person: what machine, how much memory, which devices. Guest RAM is not allocated.</summary>
internal static class StreamInspector
{
    /// <summary>Reads the whole stream and reports.</summary>
    /// <exception cref="StreamFormatException">The stream is malformed or truncated.</exception>
    /// <exception cref="IOException">The source failed.</exception>
    public static StreamReport Inspect(IStreamSource source, IncomingStreamOptions options)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(options);
        ReportTarget target = new();
        StreamParser parser = new(source, target, options);
        parser.Run(BigLockState.NotHeld);
        return target.Report(parser);
    }
}
