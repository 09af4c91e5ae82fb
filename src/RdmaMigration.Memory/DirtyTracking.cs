namespace RdmaMigration.Memory;

/// <summary>How written pages are found.</summary>
internal enum DirtyTracking
{
    /// <summary>userfaultfd write protection that the kernel removes by itself, read with PAGEMAP_SCAN. Since Linux 6.7; needs no privilege.</summary>
    WriteProtectAsync,

    /// <summary>
    /// userfaultfd write protection that a thread of this process removes, page by page. Since Linux 5.19; needs CAP_SYS_PTRACE, the sysctl
    /// vm.unprivileged_userfaultfd or access to /dev/userfaultfd.
    /// </summary>
    WriteProtect,

    /// <summary>
    /// The soft-dirty bits of /proc/self/pagemap, where the kernel was built with CONFIG_MEM_SOFT_DIRTY and nothing is paged out; needs no privilege.
    /// </summary>
    SoftDirty,

    /// <summary>The program marks what it writes: <see cref="ExplicitTracker.MarkDirty"/>.</summary>
    Explicit,
}
