namespace RdmaMigration.VmState;

/// <summary>Bytes, as many as the description says, in memory that the device keeps.</summary>
internal sealed class BufferField<T>(FieldTerms<T> terms, string? type, int length, Func<T, Memory<byte>> get) : VmStateField<T>(terms)
    where T : class
{
    /// <summary>The vmdescription's word for bytes.</summary>
    public const string Word = "buffer";

    public override string Type => type ?? Word;

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(reader.CheckCount(length, length, 1));
        reader.ReadExactly(bytes);
        return (state, context) => context.Exchange(bytes, get(state));
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        ReadOnlyMemory<byte> bytes = get(view.State);
        new Extent(-1, length).Check(writer, view, bytes.Length);
        DescribeAll(writer, name, 1, length);
        writer.Write(bytes.Span);
    }
}
