using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// One block of guest RAM: a memfd (<c>rdmamig:NAME</c> in /proc/PID/maps), mapped shared and writable. Memory that nobody wrote is a hole
/// and costs nothing. The owner disposes it, after every NIC registration of it is gone. Its members may be used from any thread; bytes are
/// not synchronised.
/// </summary>
internal sealed unsafe class RamBlock : IDisposable
{
    /// <summary>A block's length is a multiple of this many bytes: QEMU's usual target page.</summary>
    public const ulong LengthUnit = 4096;

    // Zeroed at once, so that a written byte costs the writing of little else.
    private const ulong ClearStep = 64 << 10;

    private readonly SafeFileHandle _file;
    private readonly MemoryMapping _mapping;
    private readonly byte* _pointer;

    private RamBlock(string name, ulong length, ulong pageSize, SafeFileHandle file, MemoryMapping mapping)
    {
        Name = name;
        Length = length;
        PageSize = pageSize;
        _file = file;
        _mapping = mapping;
        _pointer = (byte*)mapping.DangerousGetHandle();
    }

    /// <summary>The block's idstr.</summary>
    public string Name { get; }

    /// <summary>Bytes in the block: a positive multiple of <see cref="LengthUnit"/>.</summary>
    public ulong Length { get; }

    /// <summary>
    /// Bytes of memory that the kernel gives and protects at once: <see cref="LengthUnit"/>, or the size of a huge page. Of a block in huge pages the kernel
    /// reports no holes.
    /// </summary>
    public ulong PageSize { get; }

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
    public ulong ResidentBytes => MemoryFile.AllocatedBytes(FileDescriptor);

    /// <summary>
    /// A sender may give back memory that it saw to be zero: no program writes the block while it is sent, as with a capture. Off by default: in a running
    /// machine a page may be written after the sender looked at it, and giving it back would lose the write.
    /// </summary>
    public bool MayDiscardZeros { get; set; }

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
    /// <param name="length">Bytes: a positive multiple of <see cref="LengthUnit"/>, or of the huge page size.</param>
    /// <param name="hugePages">
    /// Take the memory from the host's huge pages of the default size, reserved at once. Otherwise memory is taken as it is written.
    /// </param>
    /// <exception cref="RamAllocationException">
    /// The length is no such multiple or is more than a mapping can hold, the host has too few free huge pages, or the kernel refuses.
    /// </exception>
    public static RamBlock Allocate(string name, ulong length, bool hugePages = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (length == 0 || length % LengthUnit != 0 || length > (ulong)nint.MaxValue)
        {
            throw new RamAllocationException(name, $"RAM block '{name}': length {length} is not a positive multiple of {LengthUnit} up to {nint.MaxValue}");
        }

        // Checked here, since the kernel's answer to more is a signal.
        if (ResourceLimits.FileSize is { } most && length > most)
        {
            throw new RamAllocationException(
                name,
                $"RAM block '{name}': its {length} bytes exceed the file size limit of {most} bytes, which also applies to guest RAM (a memfd); "
                + "raise the limit (ulimit -f unlimited, or LimitFSIZE=infinity of the unit)");
        }

        SafeFileHandle? file = null;
        try
        {
            file = MemoryFile.Create($"rdmamig:{name}", hugePages);
            int descriptor = (int)file.DangerousGetHandle();
            ulong pageSize = hugePages ? MemoryFile.PageSize(descriptor) : LengthUnit;
            if (length % pageSize != 0)
            {
                throw new RamAllocationException(name, $"RAM block '{name}': length {length} is not a multiple of the huge page size {pageSize}");
            }

            _ = Descriptor.Truncate(descriptor, (long)length).OrThrow("ftruncate");
            return new RamBlock(name, length, pageSize, file, MemoryMapping.Map(descriptor, length, reserve: hugePages));
        }
        catch (Exception refused)
        {
            ulong? hugePageSize = hugePages && file is not null ? MemoryFile.PageSize((int)file.DangerousGetHandle()) : null;
            file?.Dispose();
            if (refused is LinuxException error)
            {
                throw new RamAllocationException(
                    name, $"RAM block '{name}' of {length} bytes: {error.Message}{HugePageAdvice(error, length, hugePageSize)}", error);
            }

            throw;
        }
    }

    /// <summary>
    /// Bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="length"/>) of the block. Valid until the block is disposed.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    /// <exception cref="ObjectDisposedException">The block is disposed.</exception>
    public Span<byte> Slice(ulong offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        CheckRange(offset, (ulong)length);
        return new Span<byte>(Pointer + offset, length);
    }

    /// <summary>
    /// Makes a range read as zero. Holes stay holes, memory that is zero is not written to, and memory that backs the range stays in place: a NIC may hold its
    /// pages.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    /// <exception cref="ObjectDisposedException">The block is disposed.</exception>
    public void Zero(ulong offset, ulong length)
    {
        foreach (RamExtent extent in ExtentsOf(offset, length))
        {
            if (extent.IsData)
            {
                ClearData(extent);
            }
        }
    }

    /// <summary>
    /// Puts memory behind a range, as writing there would, and leaves its bytes as they are. It takes as long as the kernel takes to clear that much
    /// memory.
    /// </summary>
    /// <param name="offset">A multiple of the host's page size.</param>
    /// <param name="length">Bytes.</param>
    /// <returns>False when the kernel did not: it is older than Linux 5.14, or has no memory left. Whoever needs the memory then learns which.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    /// <exception cref="ObjectDisposedException">The block is disposed.</exception>
    public bool TryPopulate(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        return !MemoryFile.Populate(Pointer + offset, length).Failed;
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
        return !MemoryFile.Discard(Pointer + offset, length).Failed;
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

    /// <summary>How to reserve the huge pages that the host does not have.</summary>
    private static string HugePageAdvice(LinuxException error, ulong length, ulong? pageSize) => pageSize is { } size && error.Error == Errno.ENOMEM
        ? $"; it needs {length / size} free huge pages of {size >> 10} KiB (HugePages_Free in /proc/meminfo): raise the sysctl vm.nr_hugepages"
        : "";

    private void ClearData(RamExtent extent)
    {
        for (ulong done = 0; done < extent.Length; done += ClearStep)
        {
            Span<byte> bytes = new(Pointer + extent.Offset + done, (int)Math.Min(extent.Length - done, ClearStep));
            if (!ZeroScan.IsZero(bytes))
            {
                bytes.Clear();
            }
        }
    }

    private void CheckRange(ulong offset, ulong length)
    {
        if (offset > Length || length > Length - offset)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"RAM block '{Name}': bytes 0x{offset:x} + 0x{length:x} are outside its 0x{Length:x}");
        }
    }
}
