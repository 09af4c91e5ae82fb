namespace RdmaMigration.Streams;

/// <summary>Where stream bytes go: a channel, a file. Used by one thread at a time. A call returns when the caller may reuse the memory.</summary>
internal interface IStreamSink
{
    /// <summary>Writes all of the bytes.</summary>
    /// <exception cref="IOException">The channel failed, or the storage is full.</exception>
    void Write(ReadOnlySpan<byte> bytes);

    /// <summary>Writes all bytes of all segments, in order.</summary>
    /// <param name="segments">1 to <see cref="CaptureWriter.MaxSegments"/> segments, none empty.</param>
    /// <exception cref="IOException">The channel failed, or the storage is full.</exception>
    void WriteGather(ReadOnlySpan<IoSegment> segments);
}
