namespace RdmaMigration.VmState;

/// <summary>What a field's predicate sees: the state's object, the version, and the integers that stand before the field.</summary>
/// <typeparam name="T">The object that holds the state.</typeparam>
public readonly struct FieldView<T>
    where T : class
{
    private readonly StateLayout<T> _layout;
    private readonly long[]? _loaded;

    internal FieldView(StateLayout<T> layout, T state, uint version, long[]? loaded)
    {
        _layout = layout;
        State = state;
        Version = version;
        _loaded = loaded;
    }

    /// <summary>
    /// The object. During a load it does not have the stream's values yet, and the predicate runs without the big lock: look only at what does not change, such
    /// as the device's configuration.
    /// </summary>
    public T State { get; }

    /// <summary>The version of the state that is read or written.</summary>
    public uint Version { get; }

    /// <summary>
    /// The value of an integer or bool field (0 or 1) that stands before this one: during a load the stream's, during a save the object's. A uint64 beyond
    /// <see cref="long.MaxValue"/> becomes negative; an absent field is 0.
    /// </summary>
    /// <param name="field">The field's name; the first of that name.</param>
    /// <exception cref="ArgumentException">There is no such integer or bool field.</exception>
    public long this[string field] => At(_layout.IndexOfScalar(field));

    internal long At(int index) => _loaded is null ? _layout.ScalarAt(index).Value(State) : _loaded[index];

    internal void Note(int index, long value)
    {
        if (_loaded is not null)
        {
            _loaded[index] = value;
        }
    }
}
