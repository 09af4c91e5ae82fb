using System.Diagnostics;

namespace RdmaMigration.Transport;

/// <summary>
/// The return path over RDMA: the second connection. The first message comes unasked, and one READY goes out after each (PROTOCOL.md, Return path). One thread
/// reads.
/// </summary>
internal sealed class RdmaReturnPathInput(IControlLink link) : ChannelInput
{
    private int _left;
    private bool _isAsked = true;

    /// <inheritdoc/>
    protected override int ReadBytes(Span<byte> buffer, TimeSpan idle)
    {
        while (_left == 0)
        {
            if (!_isAsked)
            {
                Ask();
                _isAsked = true;
            }

            if (!link.Receive(idle))
            {
                return 0;
            }

            _isAsked = false;
            ControlHeader header = ControlHeader.Parse(link.Message, link.Peer);
            if (header.Type == ControlMessageType.Error)
            {
                throw new ConnectionLostException(
                    ConnectionLoss.PeerError,
                    $"return path: the destination {link.Peer} reported a failure (ERROR); see its log",
                    Stopwatch.GetTimestamp());
            }

            if (header.Type != ControlMessageType.QemuFile || header.Length == 0)
            {
                throw new ControlProtocolException(
                    $"return path: the destination {link.Peer} sent {header.Type} ({(uint)header.Type}) of {header.Length} bytes; expected QEMU_FILE");
            }

            _left = (int)header.Length;
        }

        int count = Math.Min(_left, buffer.Length);
        link.Message.Slice(link.Message.Length - _left, count).CopyTo(buffer);
        _left -= count;
        return count;
    }

    private void Ask()
    {
        try
        {
            link.Send(new ControlHeader(0, ControlMessageType.Ready, 1), []);
        }
        catch (ConnectionLostException)
        {
            // The destination's last word may have come before: the receive hands out what has arrived, and throws this when nothing is left.
        }
    }
}
