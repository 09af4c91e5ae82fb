using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// One block of guest RAM: a memfd (<c>rdmamig:NAME</c> in /proc/PID/maps), mapped shared and writable. Memory that nobody wrote is a hole
/// and costs nothing. The owner disposes it, after every NIC registration of it is gone. Its members may be used from any thread; bytes are
/// not synchronised.
/// </summary>
public sealed unsafe class RamBlock : IDisposable
{
    /// <summary>A block's length is a multiple of this many bytes: QEMU's usual target page.</summary>
    public const ulong LengthUnit = 4096;

    // linux/mman.h; the second one since Linux 5.14.
    private const int Remove = 9; // MADV_REMOVE
    private const int PopulateWrite = 23; // MADV_POPULATE_WRITE

    // memfd_create(2): the name is at most 249 bytes.
    private const int MaxMemfdName = 249;

    private readonly SafeFileHandle _file;
    private readonly MappedMemoryHandle _mapping;
    private readonly byte* _pointer;

    private RamBlock(string name, ulong length, SafeFileHandle file, MappedMemoryHandle mapping)
    {
        Name = name;
        Length = length;
        _file = file;
        _mapping = mapping;
        _pointer = (byte*)mapping.DangerousGetHandle();
    }

    /// <summary>The block's idstr.</summary>
    public string Name { get; }

    /// <summary>Bytes in the block: a positive multiple of <see cref="LengthUnit"/>.</summary>
    public ulong Length { get; }

    /// <summary>The first byte. Valid until the block is disposed; the caller keeps the block alive while it uses the pointer.</summary>
    /// <exception cref="ObjectDisposedException">The block is disposed.</exception>
    public byte* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_mapping.IsClosed, this);
            return _pointer;
        }
    }

    /// <summary>Bytes of memory that back the block now.</summary>
    /// <exception cref="IOException">The kernel could not answer.</exception>
    public ulong ResidentBytes
    {
        get
        {
            stat status;
            return LibC.fstat(FileDescriptor, &status) == 0
                ? (ulong)(long)status.st_blocks * 512
                : throw new IOException($"RAM block '{Name}': fstat: {LibCError.Describe(LibC.errno)}");
        }
    }

    /// <summary>Data runs and holes of the whole block.</summary>
    public RamExtents Extents => new(this, 0, Length);

    internal int FileDescriptor
    {
        get
        {
            ObjectDisposedException.ThrowIf(_file.IsClosed, this);
            return (int)_file.DangerousGetHandle();
        }
    }

    /// <summary>Creates a block that reads as zero. The caller owns it.</summary>
    /// <param name="name">The block's idstr, not empty.</param>
    /// <param name="length">Bytes: a positive multiple of <see cref="LengthUnit"/>.</param>
    /// <exception cref="RamAllocationException">The length is no such multiple or is more than a mapping can hold, or the kernel refuses.</exception>
    public static RamBlock Allocate(string name, ulong length)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (length == 0 || length % LengthUnit != 0 || length > (ulong)nint.MaxValue)
        {
            throw new RamAllocationException(name, $"RAM block '{name}': length {length} is not a positive multiple of {LengthUnit} up to {nint.MaxValue}");
        }

        SafeFileHandle file = CreateFile(name);
        try
        {
            int descriptor = (int)file.DangerousGetHandle();
            if (LibC.ftruncate(descriptor, (long)length) != 0)
            {
                throw Failed(name, length, "ftruncate");
            }

            MappedMemoryHandle mapping = MappedMemoryHandle.Map(descriptor, length);
            return mapping.IsInvalid ? throw Failed(name, length, "mmap") : new RamBlock(name, length, file, mapping);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="length"/>) of the block. Valid until the block is disposed.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    /// <exception cref="ObjectDisposedException">The block is disposed.</exception>
    public Span<byte> Slice(ulong offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        CheckRange(offset, (ulong)length);
        return new Span<byte>(Pointer + offset, length);
    }

    /// <summary>
    /// Makes a range read as zero. Holes stay holes, and memory that backs the range stays in place: a NIC may hold its pages.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    /// <exception cref="ObjectDisposedException">The block is disposed.</exception>
    public void Zero(ulong offset, ulong length)
    {
        foreach (RamExtent extent in ExtentsOf(offset, length))
        {
            if (extent.IsData)
            {
                NativeMemory.Clear(Pointer + extent.Offset, (nuint)extent.Length);
            }
        }
    }

    /// <summary>Puts memory behind a range, as writing there would, and leaves its bytes as they are. It takes as long as the kernel takes to clear that much memory.</summary>
    /// <param name="offset">A multiple of the host's page size.</param>
    /// <param name="length">Bytes.</param>
    /// <returns>False when the kernel did not: it is older than Linux 5.14, or has no memory left. Whoever needs the memory then learns which.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    /// <exception cref="ObjectDisposedException">The block is disposed.</exception>
    public bool TryPopulate(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        return LibC.madvise(Pointer + offset, (size_t)length, PopulateWrite) == 0;
    }

    /// <summary>Gives back the memory behind a range: it is a hole from then on and reads as zero. No device may have it registered.</summary>
    /// <param name="offset">A multiple of the host's page size.</param>
    /// <param name="length">Bytes, a multiple of the host's page size.</param>
    /// <returns>False when the kernel did not; the bytes are then as they were.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    /// <exception cref="ObjectDisposedException">The block is disposed.</exception>
    public bool TryDiscard(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        return LibC.madvise(Pointer + offset, (size_t)length, Remove) == 0;
    }

    /// <summary>Data runs and holes of a range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    public RamExtents ExtentsOf(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        return new RamExtents(this, offset, offset + length);
    }

    /// <summary>Unmaps and frees the memory.</summary>
    public void Dispose()
    {
        _mapping.Dispose();
        _file.Dispose();
    }

    private void CheckRange(ulong offset, ulong length)
    {
        if (offset > Length || length > Length - offset)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"RAM block '{Name}': bytes 0x{offset:x} + 0x{length:x} are outside its 0x{Length:x}");
        }
    }

    private static SafeFileHandle CreateFile(string name)
    {
        byte[] label = Encoding.UTF8.GetBytes($"rdmamig:{name}");
        Span<byte> terminated = stackalloc byte[MaxMemfdName + 1];
        terminated.Clear();
        label.AsSpan(0, Math.Min(label.Length, MaxMemfdName)).CopyTo(terminated);
        fixed (byte* pointer = terminated)
        {
            int descriptor = LibC.memfd_create(pointer, LibC.MFD_CLOEXEC);
            return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw Failed(name, 0, "memfd_create");
        }
    }

    private static RamAllocationException Failed(string name, ulong length, string call) =>
        new(name, $"RAM block '{name}' of {length} bytes: {call}: {LibCError.Describe(LibC.errno)}");
}
