namespace RdmaMigration.VmState;

/// <summary>A state that was decoded and not applied: values, each with what applies it.</summary>
/// <param name="description">Its description.</param>
/// <param name="version">The version that the stream has.</param>
/// <param name="offset">Offset in the stream of its first byte.</param>
internal sealed class StagedState<T>(VmStateDescription<T> description, uint version, ulong offset)
    where T : class
{
    private readonly List<(string Name, ulong Offset, ApplyField<T> Apply)> _fields = [];
    private readonly List<(string Name, StagedState<T> State)> _subsections = [];

    public void Add(string name, ulong at, ApplyField<T> apply) => _fields.Add((name, at, apply));

    public void Add(string name, StagedState<T> subsection) => _subsections.Add((name, subsection));

    public bool Has(string subsection) => _subsections.Exists(s => s.Name == subsection);

    /// <summary>Calls pre_load, applies fields and then subsections, calls post_load. What throws leaves the context at its place.</summary>
    /// <param name="state">The object.</param>
    /// <param name="context">Takes everything back if this throws.</param>
    /// <param name="isPreLoaded">pre_load has been called.</param>
    public void Commit(T state, CommitContext context, bool isPreLoaded = false)
    {
        if (!isPreLoaded && description.PreLoad is not null)
        {
            context.Offset = offset;
            context.Path.Hook = "pre_load";
            description.PreLoad(state);
            context.Path.Hook = null;
        }

        foreach ((string name, ulong at, ApplyField<T> apply) in _fields)
        {
            context.Path.Enter(name);
            context.Offset = at;
            apply(state, context);
            context.Path.Leave();
        }

        foreach ((string name, StagedState<T> subsection) in _subsections)
        {
            context.Path.Enter(name);
            subsection.Commit(state, context);
            context.Path.Leave();
        }

        if (description.PostLoad is not null)
        {
            context.Offset = offset;
            context.Path.Hook = "post_load";
            description.PostLoad(state, version);
            context.Path.Hook = null;
        }
    }
}
