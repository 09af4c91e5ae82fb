using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;

namespace RdmaMigration.Streams;

/// <summary>A field's bytes as text, by QEMU's type word.</summary>
internal static class FieldValue
{
    private const int MaxHexBytes = 64;

    /// <summary>Integers in decimal and booleans as words; all else in hex, long values abbreviated.</summary>
    public static string Format(string type, ReadOnlySequence<byte> bytes)
    {
        Span<byte> start = stackalloc byte[MaxHexBytes];
        int count = (int)Math.Min(bytes.Length, MaxHexBytes);
        start = start[..count];
        bytes.Slice(0, count).CopyTo(start);
        return Number(type, start, bytes.Length) ?? Hex(start, bytes.Length);
    }

    /// <summary>"uint32", and also variants such as "uint32 equal"; null if the type is no integer of a usual size.</summary>
    private static string? Number(string type, ReadOnlySpan<byte> value, long length)
    {
        bool isSigned = type.StartsWith("int", StringComparison.Ordinal) || type == "timer";
        if (type == "bool" && length == 1)
        {
            return value[0] switch { 0 => "false", 1 => "true", _ => Hex(value, length) };
        }

        if (!isSigned && !type.StartsWith("uint", StringComparison.Ordinal))
        {
            return null;
        }

        return length switch
        {
            1 => isSigned ? ((sbyte)value[0]).ToString(CultureInfo.InvariantCulture) : value[0].ToString(CultureInfo.InvariantCulture),
            2 when isSigned => BinaryPrimitives.ReadInt16BigEndian(value).ToString(CultureInfo.InvariantCulture),
            2 => BinaryPrimitives.ReadUInt16BigEndian(value).ToString(CultureInfo.InvariantCulture),
            4 when isSigned => BinaryPrimitives.ReadInt32BigEndian(value).ToString(CultureInfo.InvariantCulture),
            4 => BinaryPrimitives.ReadUInt32BigEndian(value).ToString(CultureInfo.InvariantCulture),
            8 when isSigned => BinaryPrimitives.ReadInt64BigEndian(value).ToString(CultureInfo.InvariantCulture),
            8 => BinaryPrimitives.ReadUInt64BigEndian(value).ToString(CultureInfo.InvariantCulture),
            _ => null,
        };
    }

    private static string Hex(ReadOnlySpan<byte> start, long length) =>
        length <= start.Length ? Convert.ToHexStringLower(start) : $"{Convert.ToHexStringLower(start)}... ({length} bytes)";
}
