using System.Runtime.InteropServices;

namespace RdmaMigration.Verbs.Handles;

/// <summary>
/// A native object that holds a reference on each native object it was made from. Whatever the order of Dispose calls or
/// finalizers, the native destructor runs only when nothing made from the object is left.
/// </summary>
internal abstract class VerbsHandle : SafeHandle
{
    private readonly VerbsHandle[] _parents;
    private volatile bool _disposed;

    /// <summary>Takes ownership of <paramref name="native"/>. Each parent must be alive, which the caller ensures by a <see cref="Use"/>.</summary>
    protected VerbsHandle(nint native, params ReadOnlySpan<VerbsHandle> parents)
        : base(0, ownsHandle: true)
    {
        _parents = parents.ToArray();
        foreach (VerbsHandle parent in parents)
        {
            bool added = false;
            parent.DangerousAddRef(ref added);
        }
        SetHandle(native);
    }

    public sealed override bool IsInvalid => handle == 0;

    /// <summary>Keeps the native object alive until the scope is disposed.</summary>
    /// <exception cref="ObjectDisposedException">The handle was disposed, also when something keeps the native object.</exception>
    internal Scope Use()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new Scope(this);
    }

    /// <summary>Keeps the native object alive until the scope is disposed; false when the handle was disposed already.</summary>
    internal bool TryUse(out Scope scope)
    {
        try
        {
            scope = Use();
            return true;
        }
        catch (ObjectDisposedException)
        {
            scope = default;
            return false;
        }
    }

    protected sealed override void Dispose(bool disposing)
    {
        _disposed = true;
        base.Dispose(disposing);
    }

    /// <summary>Destroys the native object; its parents are still alive. Returns zero or an error that nobody can act upon.</summary>
    protected abstract int Destroy(nint native);

    /// <summary>Trades the reference on parent number <paramref name="index"/> for one on <paramref name="parent"/>, which must be alive.</summary>
    protected void ReplaceParent(int index, VerbsHandle parent)
    {
        bool added = false;
        parent.DangerousAddRef(ref added);
        VerbsHandle former = Interlocked.Exchange(ref _parents[index], parent);
        former.DangerousRelease();
    }

    protected sealed override bool ReleaseHandle()
    {
        int error = Destroy(handle);
        foreach (VerbsHandle parent in _parents)
        {
            parent.DangerousRelease();
        }

        return error == 0;
    }

    internal readonly ref struct Scope
    {
        private readonly VerbsHandle _handle;

        internal Scope(VerbsHandle handle)
        {
            bool added = false;
            handle.DangerousAddRef(ref added);
            _handle = handle;
        }

        internal nint Native => _handle.handle;

        public void Dispose() => _handle.DangerousRelease();
    }
}
