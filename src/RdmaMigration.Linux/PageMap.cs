using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;

namespace RdmaMigration.Linux;

/// <summary>A run of addresses, laid out as struct page_region.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct PageRegion
{
    /// <summary>The first address.</summary>
    public ulong Start;

    /// <summary>The address after the last.</summary>
    public ulong End;

    /// <summary>What is true of these pages.</summary>
    public ulong Categories;
}

/// <summary>The page tables of this process (/proc/self/pagemap).</summary>
public static unsafe class PageMap
{
    /// <summary>Of an entry: the page was written since the bits were cleared, where the kernel was built with CONFIG_MEM_SOFT_DIRTY.</summary>
    public const ulong SoftDirty = 1UL << 55;

    /// <summary>Bytes of memory that one entry stands for.</summary>
    private const ulong Page = 4096;

    // linux/fs.h.
    private const ulong PAGEMAP_SCAN = 0xc060_6610;
    private const ulong PM_SCAN_WP_MATCHING = 1;
    private const ulong PM_SCAN_CHECK_WPASYNC = 2;
    private const ulong PAGE_IS_WRITTEN = 2;

    /// <summary>Opens it for this process. The caller owns the descriptor.</summary>
    /// <exception cref="IOException">/proc is not mounted.</exception>
    /// <exception cref="UnauthorizedAccessException">This process may not.</exception>
    public static SafeFileHandle Open() => File.OpenHandle("/proc/self/pagemap", share: FileShare.ReadWrite);

    /// <summary>
    /// Finds pages that were written since they were protected, and protects them again in the same step (PAGEMAP_SCAN, since Linux 6.7). The memory is
    /// registered with a userfaultfd of <see cref="UserFaultFeatures.WriteProtectAsync"/>. A page with page tables that was never protected counts as written;
    /// memory without page tables does not.
    /// </summary>
    /// <param name="descriptor">The page map.</param>
    /// <param name="start">The first address; on return, the address up to which pages were looked at.</param>
    /// <param name="end">The address after the last.</param>
    /// <param name="regions">Takes the runs of written pages, in order. The call ends early when they are full.</param>
    /// <returns>How many runs there are.</returns>
    public static CallResult TakeWritten(int descriptor, ref ulong start, ulong end, Span<PageRegion> regions)
    {
        fixed (PageRegion* first = regions)
        {
            // These categories alone take the kernel's short path, which also counts a page whose entry the kernel has dropped since it was written.
            Scan scan = new()
            {
                Size = (ulong)sizeof(Scan),
                Flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
                Start = start,
                End = end,
                Regions = first,
                RegionCount = (ulong)regions.Length,
                Mask = PAGE_IS_WRITTEN,
                Report = PAGE_IS_WRITTEN,
            };
            CallResult found = KernelCalls.Control(descriptor, PAGEMAP_SCAN, &scan);
            start = found.Failed ? start : scan.WalkEnd;
            return found;
        }
    }

    /// <summary>Reads the entries of consecutive pages.</summary>
    /// <param name="descriptor">The page map.</param>
    /// <param name="address">The first page.</param>
    /// <param name="entries">Takes one entry a page (admin-guide/mm/pagemap of the kernel).</param>
    /// <returns>How many entries were read, at least one.</returns>
    public static CallResult Read(int descriptor, ulong address, Span<ulong> entries)
    {
        fixed (ulong* first = entries)
        {
            while (true)
            {
                nint bytes = (nint)LibC.pread(descriptor, first, entries.Length * sizeof(ulong), (long)(address / Page * sizeof(ulong)));
                CallResult read = CallResult.Of(bytes > 0 ? bytes / sizeof(ulong) : bytes);
                if (read.Error != Errno.EINTR)
                {
                    return read;
                }
            }
        }
    }

    /// <summary>Clears the soft-dirty bits of all memory of this process, other memory than that of interest too (/proc/self/clear_refs).</summary>
    /// <exception cref="IOException">/proc is not mounted, or the kernel was built without CONFIG_PROC_PAGE_MONITOR.</exception>
    /// <exception cref="UnauthorizedAccessException">This process may not.</exception>
    public static void ClearSoftDirty()
    {
        using SafeFileHandle references = File.OpenHandle("/proc/self/clear_refs", FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.Write(references, "4"u8, fileOffset: 0);
    }

    /// <summary>struct pm_scan_arg.</summary>
    private struct Scan
    {
        public ulong Size;
        public ulong Flags;
        public ulong Start;
        public ulong End;
        public ulong WalkEnd;
        public PageRegion* Regions;
        public ulong RegionCount;
        public ulong MostPages;
        public ulong Inverted;
        public ulong Mask;
        public ulong AnyOf;
        public ulong Report;
    }
}
