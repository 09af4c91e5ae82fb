namespace RdmaMigration.Transport;

/// <summary>RDMA writes into the peer's memory. One thread uses a lane; its writes complete in order.</summary>
internal interface IWriteLane
{
    /// <summary>Bytes of all writes posted so far.</summary>
    long PostedBytes { get; }

    /// <summary>Bytes of the writes that the peer's device has acknowledged; updated at least every 4 MiB.</summary>
    long WrittenBytes { get; }

    /// <summary>Posts a write of registered memory; the memory stays registered and unchanged until <see cref="WrittenBytes"/> has passed it.</summary>
    /// <param name="address">The first byte here.</param>
    /// <param name="length">Bytes, at least 1.</param>
    /// <param name="localKey">The key of the region here.</param>
    /// <param name="remoteAddress">Where the bytes go, in the peer's terms.</param>
    /// <param name="remoteKey">The key of the region there.</param>
    /// <param name="last">No write follows for now: the write asks for its completion.</param>
    /// <returns>False when the send queue is full.</returns>
    /// <exception cref="ConnectionLostException">The connection has failed.</exception>
    bool TryWrite(nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, bool last);
}

/// <summary>The wait of a thread that uses a control lane and any number of write lanes.</summary>
internal interface ILaneWait
{
    /// <summary>Changes whenever writes of any lane complete.</summary>
    long Progress { get; }

    /// <summary>
    /// Waits until a message has arrived, <see cref="Progress"/> is no longer what it was, the connection has failed, or the time has passed. The message
    /// received last is released.
    /// </summary>
    void Park(long progress, TimeSpan timeout);
}
