namespace RdmaMigration.VmState;

/// <summary>An integer or a bool.</summary>
internal sealed class ScalarField<T, TValue>(
    FieldTerms<T> terms, Scalar<TValue> scalar, string? type, Func<T, TValue> get, Action<T, TValue> set, Func<T, TValue, bool>? accepts)
    : VmStateField<T>(terms), IScalarField<T>
    where T : class
{
    public override string Type => type ?? scalar.Type;

    public long Value(T state) => scalar.ToInt64(get(state));

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        ulong at = reader.Position;
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        bytes = bytes[..scalar.Size];
        reader.ReadExactly(bytes);
        if (!scalar.TryRead(bytes, out TValue value))
        {
            throw reader.Malformed(at, $"0x{Convert.ToHexStringLower(bytes)} is no {Type}");
        }

        if (accepts is not null && !accepts(view.State, value))
        {
            throw reader.Refused(at, $"the device does not accept the value {value}");
        }

        view.Note(index, scalar.ToInt64(value));
        return (state, context) => context.Set(state, get, set, value);
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        TValue value = get(view.State);
        if (accepts is not null && !accepts(view.State, value))
        {
            throw writer.Wrong($"the device does not accept its own value {value}");
        }

        DescribeAll(writer, name, 1, scalar.Size);
        writer.Write(scalar, value);
    }
}
