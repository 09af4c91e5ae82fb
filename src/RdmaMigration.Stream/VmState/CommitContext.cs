namespace RdmaMigration.VmState;

/// <summary>One commit of a device: applies values, and takes all of them back if one fails. With the big lock held.</summary>
internal sealed class CommitContext
{
    private readonly List<Action> _undo = [];

    public FieldPath Path { get; } = new();

    /// <summary>Offset in the stream of what is being applied.</summary>
    public ulong Offset { get; set; }

    /// <summary>Sets a value of an object.</summary>
    public void Set<TOwner, TValue>(TOwner owner, Func<TOwner, TValue> get, Action<TOwner, TValue> set, TValue value)
    {
        TValue old = get(owner);
        _undo.Add(() => set(owner, old));
        set(owner, value);
    }

    /// <summary>Overwrites elements where they are.</summary>
    public void Copy<TValue>(ReadOnlySpan<TValue> values, Memory<TValue> to)
    {
        if (values.Length != to.Length)
        {
            throw new InvalidOperationException($"the device has {to.Length} elements, its description says {values.Length}");
        }

        TValue[] old = to.ToArray();
        _undo.Add(() => old.CopyTo(to));
        values.CopyTo(to.Span);
    }

    /// <summary>Puts every value back, the last one first.</summary>
    /// <returns>What failed at that; null if all is as it was.</returns>
    public Exception? Undo()
    {
        Exception? failure = null;
        for (int i = _undo.Count - 1; i >= 0; i--)
        {
            try
            {
                _undo[i]();
            }
            catch (Exception e)
            {
                failure ??= e;
            }
        }

        return failure;
    }
}
