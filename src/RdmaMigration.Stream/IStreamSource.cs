namespace RdmaMigration.Streams;

/// <summary>Where stream bytes come from: a channel, a file. Used by one thread at a time.</summary>
internal interface IStreamSource
{
    /// <summary>
    /// Reads at least one byte, and no more than are there: blocks until something has arrived. The parser calls it only when it needs a byte
    /// that it does not have (over RDMA a call that finds nothing sends a READY).
    /// </summary>
    /// <param name="buffer">Where the bytes go; never empty.</param>
    /// <returns>The bytes read, or 0 at the end of the stream.</returns>
    /// <exception cref="IOException">The channel failed.</exception>
    int Read(Span<byte> buffer);
}
