namespace RdmaMigration.VmState;

/// <summary>A list: the byte 1 before each element, the byte 0 behind the last.</summary>
internal sealed class ListField<T, TPart>(
    FieldTerms<T> terms,
    VmStateDescription<TPart> description,
    int maximum,
    Func<T, IReadOnlyList<TPart>> get,
    Action<T, IReadOnlyList<TPart>> set,
    Func<TPart> create)
    : VmStateField<T>(terms)
    where T : class
    where TPart : class
{
    private const byte Element = 1;
    private const byte End = 0;

    public override string Type => "qtailq";

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        List<StagedPart<TPart>> parts = [];
        while (true)
        {
            ulong at = reader.Position;
            reader.Path.At(parts.Count);
            byte marker = reader.ReadByte();
            if (marker == End)
            {
                break;
            }

            if (marker != Element || parts.Count == maximum)
            {
                throw reader.Malformed(
                    at, marker != Element ? $"0x{marker:x2} where a list's element (01) or its end (00) should be" : $"a list of more than {maximum} elements");
            }

            reader.CountElement();
            parts.Add(StagedPart<TPart>.Decode(reader, description, create()));
        }

        return (state, context) =>
        {
            StagedPart<TPart>.CommitAll(parts, context);
            context.Set(state, get, set, [.. parts.Select(part => part.Object)]);
        };
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        IReadOnlyList<TPart> parts = get(view.State);
        if (parts.Count > maximum)
        {
            throw writer.Wrong($"the device has {parts.Count} elements, its description says at most {maximum}");
        }

        // The members of each element follow one another in one object, as QEMU writes them.
        Describe(writer, name, 0, 1);
        long before = writer.Bytes.Length;
        for (int i = 0; i < parts.Count; i++)
        {
            writer.Path.At(i);
            writer.Write([Element]);
            description.Layout.Encode(writer, description, parts[i]);
        }

        writer.Write([End]);
        EndDescription(writer, writer.Bytes.Length - before);
    }
}
