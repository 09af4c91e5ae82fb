namespace RdmaMigration.Transport;

/// <summary>
/// The second connection of a migration: stream bytes from destination to source (protocol A.7). Each message waits for the source's READY, the first one
/// too. One thread at a time writes; the caller serialises.
/// </summary>
internal sealed class RdmaReturnPathChannel : ReturnPathChannel
{
    private readonly RdmaConnection _connection;

    public RdmaReturnPathChannel(RdmaConnection connection) => _connection = connection;

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> bytes, TimeSpan timeout)
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
