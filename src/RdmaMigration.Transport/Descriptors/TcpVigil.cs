using System.Buffers.Binary;
using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>
/// Notices a TCP peer that is gone while bytes of ours are under way. The kernel's keepalive is silent then, its own retransmissions go on for a quarter of an
/// hour, and TCP_USER_TIMEOUT would also end a connection whose peer lives and only takes nothing for a while: a source in a backlog.
/// </summary>
/// <param name="socket">A connected TCP socket.</param>
/// <param name="every">How often to look.</param>
internal sealed class TcpVigil(Socket socket, TimeSpan every)
{
    // linux/tcp.h
    private const int TcpInfo = 11;

    // Of struct tcp_info (linux/tcp.h); the kernel only ever appends to it.
    private const int RetransmitsOffset = 2;
    private const int ProbesOffset = 3;
    private const int UnacknowledgedOffset = 24;
    private const int LastAcknowledgementOffset = 56;
    private const int Size = 60;

    /// <summary>How often to look; also the unit of patience.</summary>
    public TimeSpan Every { get; } = every;

    /// <summary>So long without an answer is too long: as many silences as the keepalive takes.</summary>
    public TimeSpan Patience { get; } = every * (TcpOptions.Probes + 1);

    /// <summary>
    /// Nothing at all has come back for <see cref="Patience"/>, although bytes were sent more than once, or a peer without room for them was asked for it
    /// more than once: each answer sets those counts to zero.
    /// </summary>
    public bool IsPeerGone
    {
        get
        {
            Span<byte> info = stackalloc byte[Size];
            try
            {
                if (socket.GetRawSocketOption((int)SocketOptionLevel.Tcp, TcpInfo, info) < Size)
                {
                    return false;
                }
            }
            catch (SocketException)
            {
                // Not in this kernel.
                return false;
            }

            bool asked = (info[RetransmitsOffset] > 0 && Read(info, UnacknowledgedOffset) > 0) || info[ProbesOffset] > 1;
            return asked && Read(info, LastAcknowledgementOffset) >= Patience.TotalMilliseconds;
        }
    }

    private static uint Read(ReadOnlySpan<byte> info, int offset) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReadUInt32LittleEndian(info[offset..]) : BinaryPrimitives.ReadUInt32BigEndian(info[offset..]);
}
