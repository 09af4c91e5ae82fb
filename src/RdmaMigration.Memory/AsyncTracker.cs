using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// <see cref="DirtyTracking.WriteProtectAsync"/>. The page tables are the only bookkeeping: PAGEMAP_SCAN finds written pages and protects them again in one step.
/// Memory without page tables is passed over, so a hole costs nothing, and when it is written it gets an entry that is not protected, which counts as written.
/// </summary>
internal sealed unsafe class AsyncTracker : IDirtyTracker
{
    private readonly WriteProtection _protection;
    private readonly SafeFileHandle _pageMap;
    private readonly PageRegion[] _regions = new PageRegion[512];
    private bool _isStarted;

    /// <param name="blocks">The blocks, which stay allocated.</param>
    /// <exception cref="IOException">The kernel cannot.</exception>
    public AsyncTracker(IReadOnlyList<RamBlock> blocks)
    {
        _protection = WriteProtection.Open(blocks, isAsync: true);
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
            foreach (RamBlock block in _protection.Blocks)
            {
                _ = Scan(block, into: null);
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
    public ulong Collect(int block, PageBitmap into) =>
        _isStarted ? Scan(_protection.Blocks[block], into) : throw new InvalidOperationException("writes are not tracked");

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

    private ulong Scan(RamBlock block, PageBitmap? into)
    {
        ulong pages = 0;
        ulong begin = (ulong)block.Pointer;
        ulong end = begin + block.Length;
        for (ulong position = begin; position < end;)
        {
            CallResult found = PageMap.TakeWritten((int)_pageMap.DangerousGetHandle(), ref position, end, _regions);
            if (found.Failed)
            {
                throw new IOException($"RAM block '{block.Name}': its page tables cannot be read (PAGEMAP_SCAN): {found.Error.Describe()}");
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
