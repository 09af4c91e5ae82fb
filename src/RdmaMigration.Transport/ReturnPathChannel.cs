namespace RdmaMigration.Transport;

/// <summary>
/// The second connection of a migration: stream bytes from destination to source (protocol A.7). Each message waits for the source's READY, the first one
/// too. One thread at a time writes; the caller serialises.
/// </summary>
public sealed class ReturnPathChannel
{
    private readonly RdmaConnection _connection;

    internal ReturnPathChannel(RdmaConnection connection) => _connection = connection;

    /// <summary>Called before each write. The engine asserts here that the big lock is not held.</summary>
    public Action? BeforeIo { get; set; }

    /// <summary>Sends one message of stream bytes and waits until the source's device has it.</summary>
    /// <param name="bytes">1 to 524,272 bytes.</param>
    /// <param name="timeout">The longest wait for the source's READY, and again for the acknowledgement.</param>
    /// <exception cref="TransportException">The source gave no credit in time, broke the protocol, or the connection is lost.</exception>
    public void Write(ReadOnlySpan<byte> bytes, TimeSpan timeout)
    {
        BeforeIo?.Invoke();
        if (!_connection.Receive(timeout))
        {
            throw new TransportException($"return path: the source {_connection.Peer} gave no READY within {timeout.TotalSeconds:0.#} s");
        }

        ReadOnlySpan<byte> message = _connection.Message;
        ControlMessageType type = message.Length < ControlHeader.Size ? ControlMessageType.None : ControlHeader.Read(message).Type;
        if (type != ControlMessageType.Ready)
        {
            throw new ControlProtocolException($"return path: the source {_connection.Peer} sent {type} of {message.Length} bytes; expected READY");
        }

        if (!_connection.SendAcknowledged(new ControlHeader((uint)bytes.Length, ControlMessageType.QemuFile, 1), bytes, timeout))
        {
            throw new TransportException($"return path: the source {_connection.Peer} did not acknowledge {bytes.Length} bytes within {timeout.TotalSeconds:0.#} s");
        }
    }
}
