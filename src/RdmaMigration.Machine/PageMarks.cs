using RdmaMigration.Memory;

namespace RdmaMigration.Machines;

/// <summary>Passes the marks of a program to the migration that tracks its writes by them. Without one it drops them.</summary>
internal sealed class PageMarks
{
    private volatile ExplicitTracker? _tracker;

    /// <summary>Sets the tracker of the next migration. It takes the marks from its start on, if it finds writes by them.</summary>
    public void Use(IDirtyTracker tracker) => _tracker = tracker as ExplicitTracker;

    /// <summary>Marks a range of a block as written. Any thread.</summary>
    public void MarkDirty(int block, ulong offset, ulong length)
    {
        // The write comes before the look for the tracker: if it is not there yet, its first pass sees the write.
        Interlocked.MemoryBarrier();
        _tracker?.MarkDirty(block, offset, length);
    }
}
