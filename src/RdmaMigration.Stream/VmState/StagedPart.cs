namespace RdmaMigration.VmState;

/// <summary>A structure that was decoded, and the object that takes it.</summary>
internal readonly record struct StagedPart<TPart>(StagedState<TPart> State, TPart Object)
    where TPart : class
{
    public static StagedPart<TPart> Decode(StateReader reader, VmStateDescription<TPart> description, TPart part) =>
        new(description.Layout.Decode(reader, description, description.Version, part), part);

    /// <summary>Applies the elements of the innermost field.</summary>
    public static void CommitAll(IReadOnlyList<StagedPart<TPart>> parts, CommitContext context)
    {
        for (int i = 0; i < parts.Count; i++)
        {
            context.Path.At(i);
            parts[i].State.Commit(parts[i].Object, context);
        }
    }
}
