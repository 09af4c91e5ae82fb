using System.Buffers.Binary;

namespace RdmaMigration.Transport.Tests;

/// <summary>Builds control messages as a source puts them on the wire.</summary>
internal static class ControlMessages
{
    public static byte[] Of(ControlMessageType type, byte[]? payload = null, uint repeat = 1)
    {
        payload ??= [];
        byte[] message = new byte[ControlHeader.Size + payload.Length];
        new ControlHeader((uint)payload.Length, type, repeat).Write(message);
        payload.CopyTo(message, ControlHeader.Size);
        return message;
    }

    public static byte[] QemuFile(params byte[] bytes) => Of(ControlMessageType.QemuFile, bytes, repeat: 0xdeadbeef);

    public static byte[] Register(ulong key, uint index, ulong chunks = 0) => Of(ControlMessageType.RegisterRequest, Command(key, index, chunks));

    public static byte[] Unregister(ulong chunk, uint index) => Of(ControlMessageType.UnregisterRequest, Command(chunk, index, 0));

    public static byte[] Compress(uint value, uint index, ulong offset, ulong length)
    {
        byte[] payload = new byte[24];
        BinaryPrimitives.WriteUInt32BigEndian(payload, value);
        BinaryPrimitives.WriteUInt32BigEndian(payload.AsSpan(4), index);
        BinaryPrimitives.WriteUInt64BigEndian(payload.AsSpan(8), offset);
        BinaryPrimitives.WriteUInt64BigEndian(payload.AsSpan(16), length);
        return Of(ControlMessageType.Compress, payload);
    }

    public static byte[] Command(ulong key, uint index, ulong chunks)
    {
        byte[] payload = new byte[24];
        BinaryPrimitives.WriteUInt64BigEndian(payload, key);
        BinaryPrimitives.WriteUInt32BigEndian(payload.AsSpan(8), index);
        BinaryPrimitives.WriteUInt32BigEndian(payload.AsSpan(12), 0xcccccccc);
        BinaryPrimitives.WriteUInt64BigEndian(payload.AsSpan(16), chunks);
        return payload;
    }
}
