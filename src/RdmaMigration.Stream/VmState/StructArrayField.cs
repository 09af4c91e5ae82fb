namespace RdmaMigration.VmState;

/// <summary>Structures, as many as the description says or as a field before it says.</summary>
/// <param name="terms">Name, and when the field is there.</param>
/// <param name="description">The structure.</param>
/// <param name="extent">How many.</param>
/// <param name="get">The structures' objects.</param>
/// <param name="set">Takes new objects; null to fill those that are there.</param>
/// <param name="create">Makes an object; null to fill those that are there.</param>
internal sealed class StructArrayField<T, TPart>(
    FieldTerms<T> terms,
    VmStateDescription<TPart> description,
    Extent extent,
    Func<T, IReadOnlyList<TPart>> get,
    Action<T, IReadOnlyList<TPart>>? set,
    Func<TPart>? create)
    : VmStateField<T>(terms)
    where T : class
    where TPart : class
{
    public override string Type => StructElements.Type;

    public override bool IsUniformWithin(HashSet<object>? outer) => base.IsUniformWithin(outer) && description.Layout.IsUniformWithin(outer);

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        int count = extent.Read(reader, view, 0);
        IReadOnlyList<TPart>? own = create is null ? get(view.State) : null;
        if (own is not null && own.Count != count)
        {
            throw reader.Refused(reader.Position, $"{count} elements are described, the device has {own.Count}");
        }

        List<StagedPart<TPart>> parts = [];
        for (int i = 0; i < count; i++)
        {
            reader.Path.At(i);
            reader.CountElement();
            parts.Add(StagedPart<TPart>.Decode(reader, description, own?[i] ?? create!()));
        }

        return (state, context) =>
        {
            StagedPart<TPart>.CommitAll(parts, context);
            if (set is not null)
            {
                context.Set(state, get, set, [.. parts.Select(part => part.Object)]);
            }
        };
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        IReadOnlyList<TPart> parts = get(view.State);
        extent.Check(writer, view, parts.Count);
        bool isUniform = IsUniform;
        for (int i = 0; i < parts.Count; i++)
        {
            writer.Path.At(i);
            Describe(writer, name, i, parts.Count);
            long before = writer.Bytes.Length;
            StructElements.Encode(writer, description, parts[i]);
            EndDescription(writer, writer.Bytes.Length - before);
            if (i == 0 && isUniform)
            {
                writer.Description.Mute();
            }
        }

        if (parts.Count > 0 && isUniform)
        {
            writer.Description.Unmute();
        }
    }
}
