using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The second connection of a migration: stream bytes from destination to source (PROTOCOL.md, Return path). Each message waits for the source's READY, the
/// first one too. One thread at a time writes; the caller serialises.
/// </summary>
internal sealed class RdmaReturnPathOutput : ChannelOutput
{
    private readonly RdmaConnection _connection;

    public RdmaReturnPathOutput(RdmaConnection connection) => _connection = connection;

    /// <inheritdoc/>
    protected override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience)
    {
        if (!_connection.Control.Receive(patience))
        {
            throw new TransportException(
                FailureReason.Timeout, $"return path: the source {_connection.Peer} gave no READY within {patience.TotalSeconds:0.#} s");
        }

        ReadOnlySpan<byte> message = _connection.Control.Message;
        ControlMessageType type = message.Length < ControlHeader.Size ? ControlMessageType.None : ControlHeader.Read(message).Type;
        if (type != ControlMessageType.Ready)
        {
            throw new ControlProtocolException($"return path: the source {_connection.Peer} sent {type} of {message.Length} bytes; expected READY");
        }

        if (!_connection.Control.SendAcknowledged(new ControlHeader((uint)bytes.Length, ControlMessageType.QemuFile, 1), bytes, patience))
        {
            throw new TransportException(
                FailureReason.Timeout,
                $"return path: the source {_connection.Peer} did not acknowledge {bytes.Length} bytes within {patience.TotalSeconds:0.#} s");
        }
    }
}
