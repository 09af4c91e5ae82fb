using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// <see cref="DirtyTracking.WriteProtectAsync"/>. The page tables are the bookkeeping: PAGEMAP_SCAN finds written pages and protects them again in one step.
/// It looks at the pieces of a block that have memory (<see cref="UsedMemory"/>).
/// </summary>
internal sealed unsafe class AsyncTracker : IDirtyTracker
{
    private readonly WriteProtection _protection;
    private readonly UsedMemory[] _used;
    private readonly SafeFileHandle _pageMap;
    private readonly PageRegion[] _regions = new PageRegion[512];
    private bool _isStarted;

    /// <param name="blocks">The blocks, which stay allocated.</param>
    /// <exception cref="IOException">The kernel cannot.</exception>
    public AsyncTracker(IReadOnlyList<RamBlock> blocks)
    {
        _protection = WriteProtection.Open(blocks, isAsync: true);
        _used = [.. blocks.Select(block => new UsedMemory(block))];
        try
        {
            _pageMap = PageMap.Open();
        }
        catch
        {
            _protection.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public DirtyTracking Kind => DirtyTracking.WriteProtectAsync;

    /// <inheritdoc/>
    public void Start()
    {
        if (_isStarted)
        {
            throw new InvalidOperationException("writes are tracked already");
        }

        _protection.Register();
        try
        {
            for (int block = 0; block < _used.Length; block++)
            {
                _used[block].Clear();
                for (ulong page = 0; _used[block].TryNextNew(page, out ulong start, out ulong end); page = end)
                {
                    _ = Scan(block, start, end, into: null);
                }
            }
        }
        catch
        {
            _protection.Unregister();
            throw;
        }

        _isStarted = true;
    }

    /// <inheritdoc/>
    public ulong Collect(int block, PageBitmap into)
    {
        if (!_isStarted)
        {
            throw new InvalidOperationException("writes are not tracked");
        }

        // The used pieces first: a new one is then not looked at twice.
        ulong pages = 0;
        UsedMemory used = _used[block];
        for (ulong page = 0; used.TryNext(page, out ulong start, out ulong end); page = end)
        {
            pages += Scan(block, start, end, into);
        }

        for (ulong page = 0; used.TryNextNew(page, out ulong start, out ulong end); page = end)
        {
            // All of a piece counts as written when it is first looked at, its holes too.
            _ = Scan(block, start, end, into: null);
            pages += used.AddData(start, end, into);
        }

        return pages;
    }

    /// <inheritdoc/>
    public void Stop()
    {
        _isStarted = false;
        _protection.Unregister();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _protection.Dispose();
        _pageMap.Dispose();
    }

    /// <summary>Takes the written pages of a run, adds them, and protects them.</summary>
    private ulong Scan(int index, ulong first, ulong last, PageBitmap? into)
    {
        RamBlock block = _protection.Blocks[index];
        ulong pages = 0;
        ulong begin = (ulong)block.Pointer;
        ulong end = begin + (last * RamBlock.LengthUnit);
        for (ulong position = begin + (first * RamBlock.LengthUnit); position < end;)
        {
            CallResult found = PageMap.TakeWritten((int)_pageMap.DangerousGetHandle(), ref position, end, _regions);
            if (found.Failed)
            {
                throw new RamAccessException(block.Name, "its page tables cannot be read", "PAGEMAP_SCAN", found.Error);
            }

            foreach (PageRegion region in _regions.AsSpan(0, (int)found.Value))
            {
                ulong count = (region.End - region.Start) / RamBlock.LengthUnit;
                into?.Set((region.Start - begin) / RamBlock.LengthUnit, count);
                pages += count;
            }
        }

        return pages;
    }
}
