using Microsoft.Win32.SafeHandles;

namespace RdmaMigration.Qmp;

/// <summary>
/// The file descriptors that came with some bytes of a client, for the requests in those bytes. Each command that asks takes one, in their order. Those that no
/// command took are closed after the last of the requests. Any thread.
/// </summary>
internal sealed class QmpDescriptors
{
    private readonly Queue<SafeFileHandle> _handles;
    private int _users = 1;

    /// <param name="handles">The descriptors; owned.</param>
    public QmpDescriptors(IEnumerable<SafeFileHandle> handles) => _handles = new Queue<SafeFileHandle>(handles);

    /// <summary>Adds a user, who calls <see cref="Release"/>.</summary>
    public QmpDescriptors Share()
    {
        Interlocked.Increment(ref _users);
        return this;
    }

    /// <summary>The next descriptor, which is the caller's; null when there is none.</summary>
    public SafeFileHandle? Take()
    {
        lock (_handles)
        {
            return _handles.TryDequeue(out SafeFileHandle? handle) ? handle : null;
        }
    }

    /// <summary>The user needs them no longer. The last one closes those that are left.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            while (Take() is { } left)
            {
                left.Dispose();
            }
        }
    }
}
