using System.Runtime.InteropServices;
using Tmds.Linux;

namespace RdmaMigration.Memory;

/// <summary>A mapping of a whole memfd. Unmaps when released.</summary>
internal sealed unsafe class MappedMemoryHandle : SafeHandle
{
    private static readonly nint s_failed = (nint)LibC.MAP_FAILED;
    private readonly ulong _length;

    private MappedMemoryHandle(nint address, ulong length)
        : base(s_failed, ownsHandle: true)
    {
        _length = length;
        SetHandle(address);
    }

    public override bool IsInvalid => handle == s_failed;

    /// <summary>Maps <paramref name="length"/> bytes of the file, shared and writable. The handle is invalid if the kernel refuses; errno says why.</summary>
    public static MappedMemoryHandle Map(int fileDescriptor, ulong length) =>
        new((nint)LibC.mmap(null, (size_t)length, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_SHARED | LibC.MAP_NORESERVE, fileDescriptor, 0), length);

    protected override bool ReleaseHandle() => LibC.munmap((void*)handle, (size_t)_length) == 0;
}
