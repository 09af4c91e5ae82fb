namespace RdmaMigration.Transport;

/// <summary>One control message at a time, over a connection or, in tests, over memory.</summary>
internal interface IControlLink
{
    /// <summary>The peer's address, for messages.</summary>
    string Peer { get; }

    /// <summary>The message received last, header included; valid until the next one is asked for.</summary>
    ReadOnlySpan<byte> Message { get; }

    /// <summary>Takes the next message if it has arrived.</summary>
    /// <exception cref="ConnectionLostException">The connection is errored and nothing that had arrived is left.</exception>
    bool TryReceive();

    /// <summary>Blocks for the next message; false when none came within the time.</summary>
    /// <exception cref="ConnectionLostException">The connection is errored and nothing that had arrived is left.</exception>
    bool Receive(TimeSpan timeout);

    /// <summary>Sends one message. Returns when the payload may be reused, not when it has arrived.</summary>
    /// <exception cref="ConnectionLostException">The connection is errored.</exception>
    void Send(ControlHeader header, ReadOnlySpan<byte> payload);
}
