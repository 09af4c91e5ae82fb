using System.Numerics;
using System.Runtime.CompilerServices;

namespace RdmaMigration.VmState;

/// <summary>How a value of one kind stands in the stream.</summary>
internal abstract class Scalar<TValue>
{
    /// <summary>Bytes of a value.</summary>
    public abstract int Size { get; }

    /// <summary>The vmdescription's word for it.</summary>
    public abstract string Type { get; }

    /// <summary>Reads a value from exactly <see cref="Size"/> bytes; false if they are none.</summary>
    public abstract bool TryRead(ReadOnlySpan<byte> bytes, out TValue value);

    /// <summary>Writes a value into exactly <see cref="Size"/> bytes.</summary>
    public abstract void Write(TValue value, Span<byte> bytes);

    /// <summary>The value as a count, or for a predicate. A uint64 beyond <see cref="long.MaxValue"/> becomes negative.</summary>
    public abstract long ToInt64(TValue value);
}

/// <summary>The values that fields have.</summary>
internal static class Scalars
{
    public static Scalar<bool> Bool { get; } = new BoolScalar();

    public static TValue Read<TValue>(StateReader reader)
        where TValue : unmanaged, IBinaryInteger<TValue>
    {
        Span<byte> bytes = stackalloc byte[Unsafe.SizeOf<TValue>()];
        reader.ReadExactly(bytes);
        return TValue.ReadBigEndian(bytes, IntegerScalar<TValue>.IsUnsigned);
    }

    private sealed class BoolScalar : Scalar<bool>
    {
        public override int Size => 1;

        public override string Type => "bool";

        public override bool TryRead(ReadOnlySpan<byte> bytes, out bool value)
        {
            value = bytes[0] == 1;
            return bytes[0] <= 1;
        }

        public override void Write(bool value, Span<byte> bytes) => bytes[0] = value ? (byte)1 : (byte)0;

        public override long ToInt64(bool value) => value ? 1 : 0;
    }
}

/// <summary>A big-endian integer of 1, 2, 4 or 8 bytes.</summary>
internal sealed class IntegerScalar<TValue> : Scalar<TValue>
    where TValue : unmanaged, IBinaryInteger<TValue>
{
    /// <summary>The type has no negative values.</summary>
    public static readonly bool IsUnsigned = !TValue.IsNegative(TValue.Zero - TValue.One);

    private IntegerScalar()
    {
    }

    public static IntegerScalar<TValue> Instance { get; } = Unsafe.SizeOf<TValue>() <= sizeof(ulong)
        ? new()
        : throw new ArgumentException($"{typeof(TValue).Name} is wider than 64 bits");

    public override int Size => Unsafe.SizeOf<TValue>();

    public override string Type { get; } = $"{(IsUnsigned ? "uint" : "int")}{8 * Unsafe.SizeOf<TValue>()}";

    public override bool TryRead(ReadOnlySpan<byte> bytes, out TValue value) => TValue.TryReadBigEndian(bytes, IsUnsigned, out value);

    public override void Write(TValue value, Span<byte> bytes) => value.WriteBigEndian(bytes);

    public override long ToInt64(TValue value) => IsUnsigned ? unchecked((long)ulong.CreateTruncating(value)) : long.CreateTruncating(value);
}
