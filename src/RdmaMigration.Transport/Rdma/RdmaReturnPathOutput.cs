using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The second connection of a migration: stream bytes from destination to source (PROTOCOL.md, Return path). Each message waits for the source's READY, but for
/// the first one to a source of ours. One thread at a time writes; the caller serialises.
/// </summary>
internal sealed class RdmaReturnPathOutput : ChannelOutput
{
    /// <summary>How long a source may take for the last message after this side has given up.</summary>
    private static readonly TimeSpan s_lastMessage = TimeSpan.FromMilliseconds(500);

    private readonly RdmaConnection _connection;

    // The source's READY has come, and the message that it is for has not been sent.
    private bool _hasCredit;

    /// <param name="connection">The second connection; not owned.</param>
    /// <param name="isSourceOurs">The source sends its first READY after the first message. A QEMU sends it before.</param>
    public RdmaReturnPathOutput(RdmaConnection connection, bool isSourceOurs)
    {
        _connection = connection;
        _hasCredit = isSourceOurs;
    }

    private ControlLane Control => _connection.Control;

    /// <inheritdoc/>
    protected override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience)
    {
        // This side gave up, and the source still learns so. Nothing fails the queue pair then, so the message can go out.
        bool isLast = _connection.Lost is { Loss: ConnectionLoss.Shutdown };
        TimeSpan wait = isLast ? s_lastMessage : patience;
        if (!_hasCredit)
        {
            AwaitReady(wait, isLast);
            _hasCredit = true;
        }

        if (!isLast)
        {
            _connection.ThrowIfLost();
        }

        _hasCredit = false;
        ControlHeader header = new((uint)bytes.Length, ControlMessageType.QemuFile, 1);
        if (!(isLast ? Control.SendLast(header, bytes, wait) : Control.SendAcknowledged(header, bytes, wait)))
        {
            throw new TransportException(
                FailureReason.Timeout,
                $"return path: the source {_connection.Peer} did not acknowledge {bytes.Length} bytes within {wait.TotalSeconds:0.#} s");
        }
    }

    private void AwaitReady(TimeSpan wait, bool isLast)
    {
        if (!(isLast ? Control.ReceiveLast(wait) : Control.Receive(wait)))
        {
            throw new TransportException(
                FailureReason.Timeout, $"return path: the source {_connection.Peer} gave no READY within {wait.TotalSeconds:0.#} s");
        }

        ReadOnlySpan<byte> message = Control.Message;
        ControlMessageType type = message.Length < ControlHeader.Size ? ControlMessageType.None : ControlHeader.Read(message).Type;
        if (type != ControlMessageType.Ready)
        {
            throw new ControlProtocolException($"return path: the source {_connection.Peer} sent {type} of {message.Length} bytes; expected READY");
        }
    }
}
