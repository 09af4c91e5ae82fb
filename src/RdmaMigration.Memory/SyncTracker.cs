using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// <see cref="DirtyTracking.WriteProtect"/>. A <see cref="WriteFaultThread"/> unprotects a page when it is written and sets its bit. Only pieces of a block
/// that have memory are protected (<see cref="UsedMemory"/>).
/// <para>
/// The thread unprotects a page and then sets the bit; <see cref="Collect"/> takes the bit and then protects the page. So a page that is unprotected always
/// has its bit set, or the thread is about to set it, whichever way the two interleave: no lock is needed, and a write is never lost.
/// </para>
/// </summary>
internal sealed class SyncTracker : IDirtyTracker
{
    private readonly WriteProtection _protection;
    private readonly Block[] _blocks;
    private WriteFaultThread? _thread;

    /// <param name="blocks">The blocks, which stay allocated.</param>
    /// <exception cref="IOException">The kernel cannot.</exception>
    public SyncTracker(IReadOnlyList<RamBlock> blocks)
    {
        _protection = WriteProtection.Open(blocks, isAsync: false);
        _blocks = [.. blocks.Select(block => new Block(block))];
    }

    /// <inheritdoc/>
    public DirtyTracking Kind => DirtyTracking.WriteProtect;

    /// <inheritdoc/>
    public void Start()
    {
        if (_thread is not null)
        {
            throw new InvalidOperationException("writes are tracked already");
        }

        _protection.Register();
        try
        {
            _thread = new WriteFaultThread(_protection.Descriptor, [.. _blocks.Select(block => block.Tracked)]);
            foreach (Block block in _blocks)
            {
                // Of the last time.
                block.Written.Take(block.Taken);
                block.Taken.ClearAll();
                block.Used.Clear();
                ProtectNew(block, into: null);
            }
        }
        catch
        {
            Stop();
            throw;
        }
    }

    /// <inheritdoc/>
    public ulong Collect(int block, PageBitmap into)
    {
        if (_thread is null)
        {
            throw new InvalidOperationException("writes are not tracked");
        }

        _thread.Settle();
        Block tracked = _blocks[block];
        PageBitmap taken = tracked.Taken;
        tracked.Written.Take(taken);
        ulong unit = tracked.Ram.PageSize / RamBlock.LengthUnit;
        for (ulong page = 0; taken.TryNext(page, out ulong start, out ulong end); page = end)
        {
            // The thread may have set a part of a huge page's bits.
            start -= start % unit;
            end += (unit - (end % unit)) % unit;
            _protection.Protect(tracked.Ram, start, end);
            taken.Set(start, end - start);
        }

        ProtectNew(tracked, taken);
        ulong count = taken.Count;
        into.Or(taken);
        taken.ClearAll();
        return count;
    }

    /// <inheritdoc/>
    public void Stop()
    {
        // First the registration: the thread lets the writers go on that come until then.
        _protection.Unregister();
        _thread?.Dispose();
        _thread = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop();
        _protection.Dispose();
    }

    /// <summary>Protects the pieces that have got memory since the last look, and adds what they have.</summary>
    private void ProtectNew(Block block, PageBitmap? into)
    {
        for (ulong page = 0; block.Used.TryNextNew(page, out ulong start, out ulong end); page = end)
        {
            _protection.Protect(block.Ram, start, end);
            if (into is not null)
            {
                _ = block.Used.AddData(start, end, into);
            }
        }
    }

    private sealed unsafe class Block(RamBlock ram)
    {
        public RamBlock Ram { get; } = ram;

        /// <summary>Set by the thread.</summary>
        public AtomicPageBits Written { get; } = new(ram.Length / RamBlock.LengthUnit);

        /// <summary>What is protected unless it was written.</summary>
        public UsedMemory Used { get; } = new(ram);

        /// <summary>Used during a call only.</summary>
        public PageBitmap Taken { get; } = new(ram);

        public TrackedRange Tracked => new()
        {
            Start = Ram.Pointer,
            End = Ram.Pointer + Ram.Length,
            PageSize = Ram.PageSize,
            Words = Written.Words,
            Summary = Written.Summary,
        };
    }
}
