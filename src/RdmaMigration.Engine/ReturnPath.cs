using System.Buffers.Binary;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>The messages from destination to source (THREADING.md, Return path). The receive thread alone uses it.</summary>
internal sealed class ReturnPath(ChannelOutput output, TimeSpan timeout)
{
    /// <summary>Tells the source that the capture is safe, or that it is not. The last message.</summary>
    public void SendShut(bool failed) => output.Write(Encode(ReturnPathMessage.Shut, failed ? 1u : 0u), timeout);

    /// <summary>Answers a PING.</summary>
    public void SendPong(uint value)
    {
        LastPong = Encode(ReturnPathMessage.Pong, value);
        output.Write(LastPong, timeout);
    }

    /// <summary>
    /// The last answer to a PING, which a source ignores when it comes again; empty before the first. What may be sent to find out whether it
    /// listens.
    /// </summary>
    public byte[] LastPong { get; private set; } = [];

    /// <summary>Lets a source with switchover-ack switch over.</summary>
    public void SendSwitchoverAck()
    {
        Span<byte> message = stackalloc byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(message, (ushort)ReturnPathMessage.SwitchoverAcknowledged);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], 0);
        output.Write(message, timeout);
    }

    private static byte[] Encode(ReturnPathMessage type, uint value)
    {
        byte[] message = new byte[8];
        BinaryPrimitives.WriteUInt16BigEndian(message, (ushort)type);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), sizeof(uint));
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(4), value);
        return message;
    }
}
