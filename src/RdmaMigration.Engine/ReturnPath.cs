using System.Buffers.Binary;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>The messages from destination to source (protocol D.2). The receive thread alone uses it.</summary>
internal sealed class ReturnPath(ReturnPathChannel channel, TimeSpan timeout)
{
    /// <summary>Tells the source that the capture is safe, or that it is not. The last message.</summary>
    public void SendShut(bool failed) => Send(ReturnPathMessage.Shut, failed ? 1u : 0u);

    /// <summary>Answers a PING.</summary>
    public void SendPong(uint value) => Send(ReturnPathMessage.Pong, value);

    /// <summary>Lets a source with switchover-ack switch over.</summary>
    public void SendSwitchoverAck()
    {
        Span<byte> message = stackalloc byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(message, (ushort)ReturnPathMessage.SwitchoverAcknowledged);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], 0);
        channel.Write(message, timeout);
    }

    private void Send(ReturnPathMessage type, uint value)
    {
        Span<byte> message = stackalloc byte[8];
        BinaryPrimitives.WriteUInt16BigEndian(message, (ushort)type);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], sizeof(uint));
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], value);
        channel.Write(message, timeout);
    }
}
