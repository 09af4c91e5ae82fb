using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace RdmaMigration.Streams;

/// <summary>The stream's elements, appended to a buffer.</summary>
internal static class BigEndianWriter
{
    public static void WriteByte(this IBufferWriter<byte> to, byte value) => to.Write([value]);

    public static void WriteUInt16(this IBufferWriter<byte> to, ushort value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(to.GetSpan(sizeof(ushort)), value);
        to.Advance(sizeof(ushort));
    }

    public static void WriteUInt32(this IBufferWriter<byte> to, uint value)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to.GetSpan(sizeof(uint)), value);
        to.Advance(sizeof(uint));
    }

    public static void WriteUInt64(this IBufferWriter<byte> to, ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(to.GetSpan(sizeof(ulong)), value);
        to.Advance(sizeof(ulong));
    }

    /// <summary>u8 n and n bytes.</summary>
    public static void WriteName(this IBufferWriter<byte> to, string name)
    {
        to.WriteByte((byte)name.Length);
        Encoding.ASCII.GetBytes(name, to);
    }
}
