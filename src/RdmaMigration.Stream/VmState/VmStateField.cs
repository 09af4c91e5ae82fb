namespace RdmaMigration.VmState;

/// <summary>Applies a field's staged value to an object. With the big lock held.</summary>
internal delegate void ApplyField<in T>(T state, CommitContext context);

/// <summary>One entry of a description. Immutable, without state of its own.</summary>
/// <param name="terms">Name, and when the field is there.</param>
internal abstract class VmStateField<T>(FieldTerms<T> terms)
    where T : class
{
    public string Name => terms.Name;

    /// <summary>The vmdescription's word for the field's type.</summary>
    public abstract string Type { get; }

    /// <summary>The elements of an array of this kind are described once.</summary>
    public bool IsUniform => IsUniformWithin(null);

    /// <summary>The field is in a state of the view's version.</summary>
    public bool IsIn(in FieldView<T> view) => terms.Exists is null ? terms.Since <= view.Version : terms.Exists(view);

    /// <summary>As <see cref="IsUniform"/>. A field with a predicate is described for each element.</summary>
    /// <param name="outer">As in <see cref="StateLayout{T}.IsUniformWithin"/>.</param>
    public virtual bool IsUniformWithin(HashSet<object>? outer) => terms.Exists is null;

    /// <summary>Reads the field and returns what applies it; changes nothing but the reader.</summary>
    /// <param name="reader">The stream.</param>
    /// <param name="view">The object, and the integers before this field.</param>
    /// <param name="index">Index of the field in its description.</param>
    public abstract ApplyField<T> Decode(StateReader reader, in FieldView<T> view, int index);

    /// <summary>Writes the field and describes it.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="view">The object.</param>
    /// <param name="name">The name for the description, which no other field of it has.</param>
    public abstract void Encode(StateWriter writer, in FieldView<T> view, string name);

    /// <summary>Begins the description of an element.</summary>
    protected void Describe(StateWriter writer, string name, int index, int count)
    {
        DescriptionText text = writer.Description;
        text.StartObject();
        text.Add("name", name);
        if (count > 1)
        {
            text.Add(IsUniform ? "array_len" : "index", IsUniform ? count : index);
        }

        text.Add("type", Type);
    }

    /// <summary>Ends the description of an element.</summary>
    protected static void EndDescription(StateWriter writer, long size)
    {
        writer.Description.Add("size", size);
        writer.Description.EndObject();
    }

    /// <summary>Describes elements of the same size that have no structure.</summary>
    protected void DescribeAll(StateWriter writer, string name, int count, int size)
    {
        int described = IsUniform ? Math.Min(count, 1) : count;
        for (int i = 0; i < described; i++)
        {
            Describe(writer, name, i, count);
            EndDescription(writer, size);
        }
    }
}

/// <summary>What every field has.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Since">The first version of the state that has it.</param>
/// <param name="Exists">Decides alone whether a state has it; null for <paramref name="Since"/>.</param>
internal readonly record struct FieldTerms<T>(string Name, uint Since, Func<FieldView<T>, bool>? Exists)
    where T : class;

/// <summary>A field whose value may be a count, or decide whether others are there.</summary>
internal interface IScalarField<in T>
{
    long Value(T state);
}
