using System.Buffers.Binary;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>The messages from destination to source (protocol D.2): be16 type, be16 length, payload. The receive thread alone uses it.</summary>
internal sealed class ReturnPath(ReturnPathChannel channel, TimeSpan timeout)
{
    private const ushort Shut = 1;
    private const ushort Pong = 2;
    private const ushort SwitchoverAck = 7;

    /// <summary>Tells the source that the capture is safe, or that it is not. The last message.</summary>
    public void SendShut(bool failed) => Send(Shut, failed ? 1u : 0u);

    /// <summary>Answers a PING.</summary>
    public void SendPong(uint value) => Send(Pong, value);

    /// <summary>Lets a source with switchover-ack switch over.</summary>
    public void SendSwitchoverAck()
    {
        Span<byte> message = stackalloc byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(message, SwitchoverAck);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], 0);
        channel.Write(message, timeout);
    }

    private void Send(ushort type, uint value)
    {
        Span<byte> message = stackalloc byte[8];
        BinaryPrimitives.WriteUInt16BigEndian(message, type);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], sizeof(uint));
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], value);
        channel.Write(message, timeout);
    }
}
