using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RdmaMigration.Linux;

/// <summary>What a userfaultfd does: the features of UFFDIO_API. A kernel that lacks one refuses the whole set.</summary>
[Flags]
public enum UserFaultFeatures : ulong
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Write protection of memory (UFFD_FEATURE_PAGEFAULT_FLAG_WP, since Linux 5.7).</summary>
    WriteProtect = 1 << 0,

    /// <summary>Write protection of memory files and huge pages (UFFD_FEATURE_WP_HUGETLBFS_SHMEM, since Linux 5.19).</summary>
    WriteProtectFiles = 1 << 12,

    /// <summary>The kernel unprotects a page itself when it is written, without a message (UFFD_FEATURE_WP_ASYNC, since Linux 6.7).</summary>
    WriteProtectAsync = 1 << 15,
}

/// <summary>
/// Write protection of memory by userfaultfd. A call takes the descriptor by number; the caller keeps it open meanwhile. Each is for any thread. Addresses and
/// lengths are multiples of the page size of the memory.
/// </summary>
public static unsafe partial class UserFault
{
    // linux/userfaultfd.h.
    private const ulong ApiVersion = 0xaa;
    private const ulong UFFDIO_API = 0xc018_aa3f;
    private const ulong UFFDIO_REGISTER = 0xc020_aa00;
    private const ulong UFFDIO_UNREGISTER = 0x8010_aa01;
    private const ulong UFFDIO_WAKE = 0x8010_aa02;
    private const ulong UFFDIO_WRITEPROTECT = 0xc018_aa06;
    private const ulong USERFAULTFD_IOC_NEW = 0xaa00;
    private const ulong ModeWriteProtect = 2;
    private const ulong Protect = 1;
    private const int UFFD_USER_MODE_ONLY = 1;

    // fcntl.h; the same on x86-64 and arm64.
    private const int O_NONBLOCK = 0x800;
    private const int O_CLOEXEC = 0x8_0000;

    private static nint UserFaultCall => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 282 : 323;

    /// <summary>
    /// Opens a userfaultfd, close-on-exec, which does not block. The kernel's own writes into protected memory, such as those of read(2), need a privilege
    /// unless the kernel unprotects by itself: CAP_SYS_PTRACE, the sysctl vm.unprivileged_userfaultfd, or access to /dev/userfaultfd.
    /// </summary>
    /// <param name="features">What it has to do.</param>
    /// <param name="userModeOnly">No privilege is needed, and a write by the kernel into protected memory fails with EFAULT unless it is asynchronous.</param>
    /// <param name="file">The descriptor, owned by the caller; null when the call failed.</param>
    /// <returns>EPERM: no privilege. ENOSYS: the kernel has no userfaultfd. EINVAL: it lacks a feature.</returns>
    public static CallResult Open(UserFaultFeatures features, bool userModeOnly, out SafeFileHandle? file)
    {
        file = null;
        CallResult opened = CallResult.Of(syscall(UserFaultCall, O_CLOEXEC | O_NONBLOCK | (userModeOnly ? UFFD_USER_MODE_ONLY : 0)));
        if (opened.Error == Errno.EPERM)
        {
            opened = OpenByDevice(opened);
        }

        if (opened.Failed)
        {
            return opened;
        }

        SafeFileHandle made = new((nint)opened.Value, ownsHandle: true);
        Api api = new() { Version = ApiVersion, Features = (ulong)features };
        CallResult agreed = KernelCalls.Control((int)opened.Value, UFFDIO_API, &api);
        if (agreed.Failed)
        {
            made.Dispose();
            return agreed;
        }

        file = made;
        return opened;
    }

    /// <summary>Registers a mapped range for write protection. Nothing is protected yet.</summary>
    /// <returns>EBUSY: another userfaultfd has the range. EINVAL: its kind of memory cannot be protected.</returns>
    public static CallResult Register(int descriptor, byte* address, ulong length)
    {
        Registration registration = new() { Start = (ulong)address, Length = length, Mode = ModeWriteProtect };
        return KernelCalls.Control(descriptor, UFFDIO_REGISTER, &registration);
    }

    /// <summary>
    /// Ends the registration and the protection of a range. Threads that wait for its pages go on: the kernel wakes them here only where missing pages are
    /// registered too, so they are woken by a call of its own.
    /// </summary>
    public static CallResult Unregister(int descriptor, byte* address, ulong length)
    {
        Range range = new() { Start = (ulong)address, Length = length };
        CallResult ended = KernelCalls.Control(descriptor, UFFDIO_UNREGISTER, &range);
        Range woken = new() { Start = (ulong)address, Length = length };
        return ended.Failed ? ended : KernelCalls.Control(descriptor, UFFDIO_WAKE, &woken);
    }

    /// <summary>
    /// Protects a registered range from writes. A page of a memory file that is not there is protected too, which takes page tables: 8 bytes for each page of
    /// the range.
    /// </summary>
    public static CallResult WriteProtect(int descriptor, byte* address, ulong length)
    {
        Protection protection = new() { Start = (ulong)address, Length = length, Mode = Protect };
        return KernelCalls.Control(descriptor, UFFDIO_WRITEPROTECT, &protection);
    }

    /// <summary>The device (since Linux 6.1) gives the right by the permissions of its file. Without it, the first refusal stays.</summary>
    private static CallResult OpenByDevice(CallResult refused)
    {
        CallResult device = Descriptor.Open("/dev/userfaultfd", OpenModes.ReadWrite);
        if (device.Failed)
        {
            return refused;
        }

        CallResult opened = CallResult.Of(KernelCalls.ioctl((int)device.Value, USERFAULTFD_IOC_NEW, (void*)(O_CLOEXEC | O_NONBLOCK)));
        _ = Descriptor.Close((int)device.Value);
        return opened;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint argument);

    /// <summary>struct uffdio_api.</summary>
    private struct Api
    {
        public ulong Version;
        public ulong Features;
        public ulong Calls;
    }

    /// <summary>struct uffdio_range.</summary>
    private struct Range
    {
        public ulong Start;
        public ulong Length;
    }

    /// <summary>struct uffdio_register.</summary>
    private struct Registration
    {
        public ulong Start;
        public ulong Length;
        public ulong Mode;
        public ulong Calls;
    }

    /// <summary>struct uffdio_writeprotect.</summary>
    private struct Protection
    {
        public ulong Start;
        public ulong Length;
        public ulong Mode;
    }
}
