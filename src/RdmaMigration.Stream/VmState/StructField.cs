namespace RdmaMigration.VmState;

/// <summary>A structure within the state, which is always there.</summary>
/// <param name="terms">Name, and when the field is there.</param>
/// <param name="description">The structure.</param>
/// <param name="opaqueType">The vmdescription's word for a structure that it does not describe; null for one that it does.</param>
/// <param name="get">The structure's object.</param>
internal sealed class StructField<T, TPart>(FieldTerms<T> terms, VmStateDescription<TPart> description, string? opaqueType, Func<T, TPart> get)
    : VmStateField<T>(terms)
    where T : class
    where TPart : class
{
    public override string Type => opaqueType ?? StructElements.Type;

    public override bool IsUniformWithin(HashSet<object>? outer) =>
        base.IsUniformWithin(outer) && (opaqueType is not null || description.Layout.IsUniformWithin(outer));

    public override ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index)
    {
        StagedState<TPart> part = description.Layout.Decode(reader, description, description.Version, get(view.State));
        return (state, context) => part.Commit(get(state), context);
    }

    public override void Encode(StateWriter writer, in FieldView<T> view, string name)
    {
        Describe(writer, name, 0, 1);
        long before = writer.Bytes.Length;
        if (opaqueType is null)
        {
            StructElements.Encode(writer, description, get(view.State));
        }
        else
        {
            writer.Description.Mute();
            description.Layout.Encode(writer, description, get(view.State));
            writer.Description.Unmute();
        }

        EndDescription(writer, writer.Bytes.Length - before);
    }
}

/// <summary>What the fields that have structures as elements share.</summary>
internal static class StructElements
{
    public const string Type = "struct";

    /// <summary>Writes a structure and describes it as member "struct".</summary>
    public static void Encode<TPart>(StateWriter writer, VmStateDescription<TPart> description, TPart part)
        where TPart : class
    {
        writer.Description.StartObject(Type);
        description.Layout.Encode(writer, description, part);
        writer.Description.EndObject();
    }
}
