using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// <see cref="DirtyTracking.SoftDirty"/>. The kernel sets a bit in a page's entry at the first write. To clear the bits, the kernel offers only one call for
/// the whole process, and a write between reading the bits and that call would be lost. So a written page's entry is dropped instead, which is one step for
/// each page: the memory file keeps the bytes, and the next touch makes a new entry without the bit, or with it if the touch is a write. The first touch of a
/// collected page, also a read, therefore costs a minor fault.
/// <para>
/// An entry that the kernel drops takes the bit with it. It does so with pages that it pages out, which needs swap, so this kind needs a host without swap.
/// </para>
/// </summary>
internal sealed unsafe class SoftDirtyTracker : IDirtyTracker
{
    private readonly IReadOnlyList<RamBlock> _blocks;
    private readonly UsedMemory[] _used;
    private readonly SafeFileHandle _pageMap;
    private readonly ulong[] _entries = new ulong[8192];
    private bool _isStarted;

    /// <param name="blocks">The blocks, which stay allocated.</param>
    /// <exception cref="IOException">The kernel cannot.</exception>
    public SoftDirtyTracker(IReadOnlyList<RamBlock> blocks)
    {
        if (blocks.FirstOrDefault(block => block.PageSize != RamBlock.LengthUnit) is { } huge)
        {
            throw new MigrationException(FailureReason.Policy, $"RAM block '{huge.Name}' is in huge pages, which have no such bits");
        }

        CheckSwap();
        _blocks = blocks;
        _used = [.. blocks.Select(block => new UsedMemory(block))];
        _pageMap = PageMap.Open();
    }

    /// <inheritdoc/>
    public DirtyTracking Kind => DirtyTracking.SoftDirty;

    /// <inheritdoc/>
    public void Start()
    {
        if (_isStarted)
        {
            throw new InvalidOperationException("writes are tracked already");
        }

        CheckSwap();
        for (int i = 0; i < _blocks.Count; i++)
        {
            // The kernel drops the entry of a transparent huge page when it splits the page. Where there are none, it refuses the advice, which nobody needs
            // then.
            _ = MemoryFile.AvoidHugePages(_blocks[i].Pointer, _blocks[i].Length);
            _used[i].Clear();
        }

        ClearBits();
        _isStarted = true;
    }

    /// <inheritdoc/>
    public ulong Collect(int block, PageBitmap into)
    {
        if (!_isStarted)
        {
            throw new InvalidOperationException("writes are not tracked");
        }

        CheckSwap();
        UsedMemory used = _used[block];
        for (ulong page = 0; used.TryNextNew(page, out _, out ulong end); page = end)
        {
        }

        ulong pages = 0;
        for (ulong page = 0; used.TryNext(page, out ulong start, out ulong end); page = end)
        {
            pages += Take(_blocks[block], start, end, into);
        }

        return pages;
    }

    /// <inheritdoc/>
    public void Stop() => _isStarted = false;

    /// <inheritdoc/>
    public void Dispose() => _pageMap.Dispose();

    private static void ClearBits()
    {
        try
        {
            PageMap.ClearSoftDirty();
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new MigrationException(FailureReason.Memory, $"the soft-dirty bits of this process cannot be cleared: {refused.Message}", refused);
        }
    }

    private static void CheckSwap()
    {
        // A kernel without CONFIG_SWAP has no such file. The first line names the columns.
        if (File.Exists("/proc/swaps") && File.ReadLines("/proc/swaps").Skip(1).Any())
        {
            throw new MigrationException(
                FailureReason.Policy, "this host has swap: whether a page was written is forgotten when it is paged out; turn swap off (swapoff -a)");
        }
    }

    private ulong Take(RamBlock block, ulong start, ulong end, PageBitmap into)
    {
        ulong pages = 0;
        while (start < end)
        {
            Span<ulong> entries = _entries.AsSpan(0, (int)Math.Min(end - start, (ulong)_entries.Length));
            CallResult read = PageMap.Read((int)_pageMap.DangerousGetHandle(), (ulong)block.Pointer + (start * RamBlock.LengthUnit), entries);
            if (read.Failed || read.Value == 0)
            {
                throw new RamAccessException(block.Name, "its page tables cannot be read", "/proc/self/pagemap", read.Error);
            }

            entries = entries[..(int)read.Value];
            for (int i = 0; i < entries.Length; i++)
            {
                int first = i;
                while (i < entries.Length && (entries[i] & PageMap.SoftDirty) != 0)
                {
                    i++;
                }

                if (i > first)
                {
                    Drop(block, start + (ulong)first, (ulong)(i - first));
                    into.Set(start + (ulong)first, (ulong)(i - first));
                    pages += (ulong)(i - first);
                }
            }

            start += (ulong)entries.Length;
        }

        return pages;
    }

    /// <summary>Drops the entries of exactly the pages that are reported: another one may have been written since its entry was read.</summary>
    private static void Drop(RamBlock block, ulong first, ulong count)
    {
        CallResult dropped = MemoryFile.Forget(block.Pointer + (first * RamBlock.LengthUnit), count * RamBlock.LengthUnit);
        if (dropped.Failed)
        {
            throw new RamAccessException(block.Name, $"pages {first} + {count} stay mapped", "MADV_DONTNEED", dropped.Error);
        }
    }
}
