using RdmaMigration.Streams;

namespace RdmaMigration.VmState;

/// <summary>The fields and subsections of a description, in the order of the stream.</summary>
/// <param name="name">The description's name.</param>
internal sealed class StateLayout<T>(string name)
    where T : class
{
    private readonly List<VmStateField<T>> _fields = [];
    private readonly List<(VmStateDescription<T> Description, bool IsRequired)> _subsections = [];
    private string[]? _names;
    private Uniformity _uniformity;

    private enum Uniformity
    {
        NotLookedAt,
        Uniform,
        Mixed,
    }

    /// <summary>
    /// Arrays of this structure are described once: nothing in it depends on the single element. A structure that contains itself is none of them. Any thread:
    /// machines share descriptions.
    /// </summary>
    /// <param name="outer">The layouts around this one that are being looked at; null for none.</param>
    public bool IsUniformWithin(HashSet<object>? outer)
    {
        if (outer is not null)
        {
            return LookAt(outer);
        }

        // Two threads that look at the same time see the same.
        if (_uniformity == Uniformity.NotLookedAt)
        {
            _uniformity = LookAt([]) ? Uniformity.Uniform : Uniformity.Mixed;
        }

        return _uniformity == Uniformity.Uniform;
    }

    /// <exception cref="InvalidOperationException">The layout is in use.</exception>
    public void Add(VmStateField<T> field)
    {
        CheckOpen();
        _fields.Add(field);
    }

    /// <exception cref="InvalidOperationException">The layout is in use.</exception>
    /// <exception cref="ArgumentException">The subsection has another's name, or none of this state.</exception>
    public void Add(VmStateDescription<T> subsection, bool isRequired)
    {
        CheckOpen();
        bool isOfState = subsection.Name.Length > name.Length && subsection.Name.StartsWith(name, StringComparison.Ordinal);
        if (!isOfState || _subsections.Exists(s => s.Description.Name == subsection.Name))
        {
            throw new ArgumentException($"subsection '{subsection.Name}': another name that begins with '{name}' is needed", nameof(subsection));
        }

        _subsections.Add((subsection, isRequired));
    }

    /// <summary>The index of the first integer or bool of that name.</summary>
    public int IndexOfScalar(string scalar)
    {
        int index = _fields.FindIndex(field => field.Name == scalar && field is IScalarField<T>);
        return index >= 0 ? index : throw new ArgumentException($"'{name}' has no integer or bool field '{scalar}' before this one");
    }

    public IScalarField<T> ScalarAt(int index) => (IScalarField<T>)_fields[index];

    /// <exception cref="StreamFormatException">The version is none that the description reads.</exception>
    public void CheckVersion(StateReader reader, VmStateDescription<T> description, uint version)
    {
        if (version < description.MinimumVersion || version > description.Version)
        {
            throw reader.Refused(reader.Position, $"'{name}' has version {version}, this side reads {description.MinimumVersion} to {description.Version}");
        }
    }

    /// <summary>Reads the state without a change of its object.</summary>
    /// <param name="reader">At the state's first byte.</param>
    /// <param name="description">The description that this is of.</param>
    /// <param name="version">The version that the stream has.</param>
    /// <param name="state">The object that will take it.</param>
    /// <exception cref="StreamFormatException">The stream has what this description does not.</exception>
    public StagedState<T> Decode(StateReader reader, VmStateDescription<T> description, uint version, T state)
    {
        _names ??= UniqueNames();
        CheckVersion(reader, description, version);
        StagedState<T> staged = new(description, version, reader.Position);
        FieldView<T> view = new(this, state, version, new long[_fields.Count]);
        for (int i = 0; i < _fields.Count; i++)
        {
            VmStateField<T> field = _fields[i];
            if (field.IsIn(view))
            {
                reader.Enter(field.Name);
                ulong at = reader.Position;
                staged.Add(field.Name, at, field.Decode(reader, view, i));
                reader.Path.Leave();
            }
        }

        DecodeSubsections(reader, state, staged);
        return staged;
    }

    /// <summary>Calls pre_save, writes the state and describes it. With the big lock held.</summary>
    public void Encode(StateWriter writer, VmStateDescription<T> description, T state)
    {
        _names ??= UniqueNames();
        if (description.PreSave is not null)
        {
            writer.Path.Hook = "pre_save";
            description.PreSave(state);
            writer.Path.Hook = null;
        }

        DescriptionText text = writer.Description;
        text.Add("vmsd_name", name);
        text.Add("version", description.Version);
        text.StartArray("fields");
        FieldView<T> view = new(this, state, description.Version, null);
        for (int i = 0; i < _fields.Count; i++)
        {
            VmStateField<T> field = _fields[i];
            writer.Path.Enter(field.Name);
            if (field.IsIn(view))
            {
                field.Encode(writer, view, _names[i]);
            }

            writer.Path.Leave();
        }

        text.EndArray();
        EncodeSubsections(writer, state);
    }

    private void DecodeSubsections(StateReader reader, T state, StagedState<T> staged)
    {
        while (reader.PeekSubsection(name) is { } found)
        {
            ulong at = reader.Position;
            VmStateDescription<T> subsection = _subsections.Find(s => s.Description.Name == found).Description
                ?? throw reader.Refused(at, $"'{name}' has no subsection '{Printable.Of(found)}'");
            if (staged.Has(found))
            {
                throw reader.Malformed(at, $"subsection '{found}' comes twice");
            }

            reader.Enter(found);
            uint version = reader.ReadSubsectionVersion(found);
            staged.Add(found, subsection.Layout.Decode(reader, subsection, version, state));
            reader.Path.Leave();
        }

        if (_subsections.Find(s => s.IsRequired && !staged.Has(s.Description.Name)).Description is { } missing)
        {
            throw reader.Refused(reader.Position, $"subsection '{missing.Name}' is missing");
        }
    }

    private void EncodeSubsections(StateWriter writer, T state)
    {
        DescriptionText text = writer.Description;
        bool isFirst = true;
        foreach ((VmStateDescription<T> subsection, _) in _subsections)
        {
            writer.Path.Enter(subsection.Name);
            if (subsection.Needed is null || subsection.Needed(state))
            {
                if (isFirst)
                {
                    text.StartArray("subsections");
                    isFirst = false;
                }

                text.StartObject();
                writer.Bytes.WriteByte(SectionType.Subsection);
                writer.Bytes.WriteName(subsection.Name);
                writer.Bytes.WriteUInt32(subsection.Version);
                subsection.Layout.Encode(writer, subsection, state);
                text.EndObject();
            }

            writer.Path.Leave();
        }

        if (!isFirst)
        {
            text.EndArray();
        }
    }

    private bool LookAt(HashSet<object> outer)
    {
        if (_subsections.Count > 0 || !outer.Add(this))
        {
            return false;
        }

        bool isUniform = _fields.TrueForAll(field => field.IsUniformWithin(outer));
        outer.Remove(this);
        return isUniform;
    }

    private void CheckOpen()
    {
        if (_names is not null)
        {
            throw new InvalidOperationException($"'{name}' is in use and takes no more fields");
        }
    }

    /// <summary>The fields' names for the vmdescription: those that repeat get a number each.</summary>
    private string[] UniqueNames()
    {
        ILookup<string, VmStateField<T>> same = _fields.ToLookup(field => field.Name);
        return [.. _fields.Select(field => same[field.Name].Count() == 1
            ? field.Name
            : $"{field.Name}[{same[field.Name].TakeWhile(other => other != field).Count()}]")];
    }
}
