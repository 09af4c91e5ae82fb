namespace RdmaMigration.Transport;

/// <summary>A control link that also writes into the peer's memory. One thread uses it.</summary>
internal interface IRamLink : IControlLink
{
    /// <summary>Bytes of all writes posted so far.</summary>
    long PostedBytes { get; }

    /// <summary>Bytes of the writes that the peer's device has acknowledged; it moves on at least every 4 MiB.</summary>
    long WrittenBytes { get; }

    /// <summary>Posts a write of registered memory; the memory stays registered and unchanged until <see cref="WrittenBytes"/> has passed it.</summary>
    /// <param name="address">The first byte here.</param>
    /// <param name="length">Bytes, at least 1.</param>
    /// <param name="localKey">The key of the region here.</param>
    /// <param name="remoteAddress">Where the bytes go, in the peer's terms.</param>
    /// <param name="remoteKey">The key of the region there.</param>
    /// <param name="last">Nothing follows for now: its completion must show.</param>
    /// <returns>False when the send queue is full.</returns>
    bool TryWrite(nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, bool last);

    /// <summary>
    /// Waits until a message has arrived, <see cref="WrittenBytes"/> is no longer what it was, the connection is errored, or the time has passed. The message
    /// received last must have been used.
    /// </summary>
    void Park(long writtenBytes, TimeSpan timeout);
}
