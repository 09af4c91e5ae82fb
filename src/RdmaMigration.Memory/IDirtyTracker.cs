using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// Which pages of a list of blocks were written. One thread at a time calls it; the blocks stay allocated until it is disposed. <see cref="Start"/> may be
/// called again after <see cref="Stop"/>.
/// <para>
/// Every kind but <see cref="DirtyTracking.Explicit"/> reads the page tables of this process. It sees what threads of this process write through the block's
/// mapping, and what the kernel copies there for them, as read(2) does. It does not see what goes past the page tables: what a device writes (DMA into memory
/// that is registered with a NIC), and what another process writes through a mapping of its own. Whoever receives such writes marks the pages in the bitmap
/// itself.
/// </para>
/// <para>
/// Pages may be reported that were not written: the first touch of a hole, a page that the kernel paged out, or memory that is registered with a NIC while
/// writes are tracked, which counts as written whole. Register it before <see cref="Start"/>. A program does not give memory back
/// (<see cref="RamBlock.TryDiscard"/>) while its writes are tracked.
/// </para>
/// </summary>
internal interface IDirtyTracker : IDisposable
{
    /// <summary>How pages are found.</summary>
    DirtyTracking Kind { get; }

    /// <summary>Starts to track. From the return on, every write is seen.</summary>
    /// <exception cref="IOException">The kernel refuses. Nothing is protected.</exception>
    /// <exception cref="InvalidOperationException">It is started.</exception>
    void Start();

    /// <summary>
    /// Adds the pages of a block that were written since the last call for it, or since <see cref="Start"/>, and tracks them anew. A write during the call is
    /// seen by this call or by the next. Read a page's bytes after the call that returned it: a write from then on is seen again.
    /// </summary>
    /// <param name="block">The block's index.</param>
    /// <param name="into">Takes the pages of <see cref="RamBlock.LengthUnit"/>. Its other bits stay.</param>
    /// <returns>Pages that were written. Pages of a block in huge pages are written together.</returns>
    /// <exception cref="MigrationException">The kernel refuses; pages may be lost, so the migration cannot go on.</exception>
    /// <exception cref="InvalidOperationException">It is not started.</exception>
    ulong Collect(int block, PageBitmap into);

    /// <summary>Stops to track. Nothing is protected any more. It may be called when nothing was started.</summary>
    void Stop();
}
