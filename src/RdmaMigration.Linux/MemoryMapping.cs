using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;

namespace RdmaMigration.Linux;

/// <summary>A shared, writable mapping of a file from its start. It is unmapped when released.</summary>
public sealed unsafe class MemoryMapping : SafeHandle
{
    private static readonly nint s_failed = (nint)LibC.MAP_FAILED;
    private readonly ulong _length;

    private MemoryMapping(nint address, ulong length)
        : base(s_failed, ownsHandle: true)
    {
        _length = length;
        SetHandle(address);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == s_failed;

    /// <summary>Maps <paramref name="length"/> bytes of the file.</summary>
    /// <param name="descriptor">The file.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="reserve">
    /// Reserve swap for them, or huge pages for a file in huge pages: without, the kernel answers a first write with SIGBUS when it has no huge page left.
    /// </param>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public static MemoryMapping Map(int descriptor, ulong length, bool reserve = false)
    {
        nint address = (nint)LibC.mmap(
            null, (size_t)length, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_SHARED | (reserve ? 0 : LibC.MAP_NORESERVE), descriptor, 0);
        return address != s_failed ? new MemoryMapping(address, length) : throw new LinuxException("mmap", (Errno)Marshal.GetLastPInvokeError());
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => LibC.munmap((void*)handle, (size_t)_length) == 0;
}

/// <summary>Files in memory (memfd), and advice to the kernel about mapped memory.</summary>
public static unsafe class MemoryFile
{
    // linux/mman.h; Tmds.LibC has none of them.
    private const int MADV_REMOVE = 9;
    private const int MADV_HUGEPAGE = 14;
    private const int MADV_NOHUGEPAGE = 15;
    private const int MADV_POPULATE_WRITE = 23;
    private const uint MFD_HUGETLB = 4;

    /// <summary>The most bytes of a name (memfd_create(2)).</summary>
    private const int MostNameBytes = 249;

    /// <summary>Creates an empty file in memory, close-on-exec.</summary>
    /// <param name="name">Shown in /proc/PID/maps; cut at 249 bytes.</param>
    /// <param name="hugePages">In huge pages of the host's default size (MFD_HUGETLB).</param>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public static SafeFileHandle Create(string name, bool hugePages = false)
    {
        byte[] label = Encoding.UTF8.GetBytes(name);
        Span<byte> terminated = stackalloc byte[MostNameBytes + 1];
        terminated.Clear();
        label.AsSpan(0, Math.Min(label.Length, MostNameBytes)).CopyTo(terminated);
        fixed (byte* pointer = terminated)
        {
            uint flags = LibC.MFD_CLOEXEC | (hugePages ? MFD_HUGETLB : 0);
            return new SafeFileHandle(CallResult.Of(LibC.memfd_create(pointer, flags)).OrThrow("memfd_create"), ownsHandle: true);
        }
    }

    /// <summary>The bytes of memory or disk that back the file now.</summary>
    /// <exception cref="LinuxException">The descriptor is not open.</exception>
    public static ulong AllocatedBytes(int descriptor)
    {
        const int blockSize = 512; // st_blocks counts these, whatever the file system's block is.
        stat status;
        _ = CallResult.Of(LibC.fstat(descriptor, &status)).OrThrow("fstat");
        return (ulong)(long)status.st_blocks * blockSize;
    }

    /// <summary>Bytes of the pages of a file in huge pages.</summary>
    /// <exception cref="LinuxException">The descriptor is not open.</exception>
    public static ulong PageSize(int descriptor)
    {
        stat status;
        _ = CallResult.Of(LibC.fstat(descriptor, &status)).OrThrow("fstat");
        return (ulong)(long)status.st_blksize;
    }

    /// <summary>Puts memory behind mapped pages as writing there would, and leaves their bytes (MADV_POPULATE_WRITE, since Linux 5.14).</summary>
    public static CallResult Populate(byte* address, ulong length) => CallResult.Of(LibC.madvise(address, (size_t)length, MADV_POPULATE_WRITE));

    /// <summary>Gives back the memory behind mapped pages of a file, which become a hole (MADV_REMOVE).</summary>
    public static CallResult Discard(byte* address, ulong length) => CallResult.Of(LibC.madvise(address, (size_t)length, MADV_REMOVE));

    /// <summary>Drops the page table entries of mapped pages of a file, which keeps its bytes (MADV_DONTNEED). The next touch maps them again.</summary>
    public static CallResult Forget(byte* address, ulong length) => CallResult.Of(LibC.madvise(address, (size_t)length, LibC.MADV_DONTNEED));

    /// <summary>Asks for huge pages behind mapped memory (MADV_HUGEPAGE).</summary>
    public static CallResult PreferHugePages(byte* address, ulong length) => CallResult.Of(LibC.madvise(address, (size_t)length, MADV_HUGEPAGE));

    /// <summary>Asks for no transparent huge pages behind mapped memory (MADV_NOHUGEPAGE). EINVAL: the kernel has none.</summary>
    public static CallResult AvoidHugePages(byte* address, ulong length) => CallResult.Of(LibC.madvise(address, (size_t)length, MADV_NOHUGEPAGE));
}
