using System.Runtime.InteropServices;

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

    /// <summary>Exchanges staged elements with those of the device: nothing is allocated, and exchanging them again takes it back.</summary>
    public void Exchange<TValue>(TValue[] staged, Memory<TValue> own)
        where TValue : unmanaged
    {
        if (staged.Length != own.Length)
        {
            throw new InvalidOperationException($"the device has {own.Length} elements, its description says {staged.Length}");
        }

        _undo.Add(() => Swap(staged, own.Span));
        Swap(staged, own.Span);
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

    private static void Swap<TValue>(Span<TValue> left, Span<TValue> right)
        where TValue : unmanaged
    {
        Span<byte> one = MemoryMarshal.AsBytes(left);
        Span<byte> other = MemoryMarshal.AsBytes(right);
        Span<byte> scratch = stackalloc byte[2048];
        while (!one.IsEmpty)
        {
            int length = Math.Min(one.Length, scratch.Length);
            one[..length].CopyTo(scratch);
            other[..length].CopyTo(one);
            scratch[..length].CopyTo(other);
            one = one[length..];
            other = other[length..];
        }
    }
}
