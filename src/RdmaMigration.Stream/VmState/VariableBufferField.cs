namespace RdmaMigration.VmState;

/// <summary>Bytes, as many as a field before them says.</summary>
internal sealed class VariableBufferField<T>(FieldTerms<T> terms, Extent extent, Func<T, ReadOnlyMemory<byte>> get, Action<T, byte[]> set)
    : VmStateField<T>(terms)
    where T : class
{
    public override string Type => BufferField<T>.Word;

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(extent.Read(reader, view, 1));
        reader.ReadExactly(bytes);
        return (state, context) => context.Set(state, s => get(s).ToArray(), set, bytes);
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        ReadOnlyMemory<byte> bytes = get(view.State);
        extent.Check(writer, view, bytes.Length);
        DescribeAll(writer, name, 1, bytes.Length);
        writer.Write(bytes.Span);
    }
}
