using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

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
    // linux/fs.h.
    private const ulong PAGEMAP_SCAN = 0xc060_6610;
    private const ulong PM_SCAN_WP_MATCHING = 1;
    private const ulong PM_SCAN_CHECK_WPASYNC = 2;
    private const ulong PAGE_IS_WRITTEN = 2;

    /// <summary>Opens it for this process. The caller owns the descriptor.</summary>
    /// <exception cref="LinuxException">/proc is not mounted, or this process may not.</exception>
    public static SafeFileHandle Open() => new(Descriptor.Open("/proc/self/pagemap", OpenModes.Read).OrThrow("open /proc/self/pagemap"), ownsHandle: true);

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
