namespace RdmaMigration.VmState;

/// <summary>Integers or bools, as many as the description says or as a field before it says.</summary>
/// <param name="terms">Name, and when the field is there.</param>
/// <param name="scalar">The elements.</param>
/// <param name="type">The vmdescription's word; null for the elements' own.</param>
/// <param name="extent">How many.</param>
/// <param name="get">The array.</param>
/// <param name="set">Takes another array; null to copy the elements into the array that is there.</param>
internal sealed class ArrayField<T, TValue>(
    FieldTerms<T> terms, Scalar<TValue> scalar, string? type, Extent extent, Func<T, TValue[]> get, Action<T, TValue[]>? set)
    : VmStateField<T>(terms)
    where T : class
    where TValue : unmanaged
{
    public override string Type => type ?? scalar.Type;

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        int count = extent.Read(reader, view, scalar.Size);
        ulong at = reader.Position;
        byte[] bytes = GC.AllocateUninitializedArray<byte>(count * scalar.Size);
        reader.ReadExactly(bytes);
        TValue[] values = new TValue[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> element = bytes.AsSpan(i * scalar.Size, scalar.Size);
            if (!scalar.TryRead(element, out values[i]))
            {
                reader.Path.At(i);
                throw reader.Malformed(at + (ulong)(i * scalar.Size), $"0x{Convert.ToHexStringLower(element)} is no {Type}");
            }
        }

        return set is null
            ? (state, context) => context.Exchange(values, get(state))
            : (state, context) => context.Set(state, get, set, values);
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        TValue[] values = get(view.State);
        extent.Check(writer, view, values.Length);
        DescribeAll(writer, name, values.Length, scalar.Size);
        foreach (TValue value in values)
        {
            writer.Write(scalar, value);
        }
    }
}
