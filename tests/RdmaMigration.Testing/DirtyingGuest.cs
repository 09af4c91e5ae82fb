using System.Buffers.Binary;

namespace RdmaMigration.Testing;

/// <summary>
/// A guest program of one boot sector that increments the first dword of every page of a range for ever, and writes a '.' to COM1
/// each time it has written a given number of pages. A delay loop after each page sets the rate. Ours from the first byte; the listing:
/// <code>
///                          .code16                      # loaded at 0x7c00
/// 00  fa                   cli
/// 01  31 c0                xor  ax, ax
/// 03  8e d8                mov  ds, ax
/// 05  0f 01 16 68 7c       lgdt [0x7c68]
/// 0a  0f 20 c0             mov  eax, cr0
/// 0d  0c 01                or   al, 1                   # protected mode, no paging
/// 0f  0f 22 c0             mov  cr0, eax
/// 12  ea 17 7c 08 00       ljmp 0x08, 0x7c17
///                          .code32
/// 17  66 b8 10 00          mov  ax, 0x10
/// 1b  8e d8                mov  ds, eax
/// 1d  66 ba f8 03          mov  dx, 0x3f8
/// 21  b0 2e                mov  al, '.'
/// 23  b9 [pages]           mov  ecx, pages              # pages until the next '.'
/// 28  bf [first]           mov  edi, first              # a round begins
/// 2d  ff 07                inc  dword ptr [edi]
/// 2f  bd [delay]           mov  ebp, delay
/// 34  4d                   dec  ebp
/// 35  75 fd                jnz  0x34
/// 37  49                   dec  ecx
/// 38  75 06                jnz  0x40
/// 3a  b9 [pages]           mov  ecx, pages
/// 3f  ee                   out  dx, al
/// 40  81 c7 00 10 00 00    add  edi, 0x1000
/// 46  81 ff [end]          cmp  edi, end
/// 4c  72 df                jb   0x2d
/// 4e  eb d8                jmp  0x28
/// 50  (8 zero bytes)       descriptor 0
/// 58  ff ff 00 00 00 9a cf 00    0x08: code, 0..4 GiB
/// 60  ff ff 00 00 00 92 cf 00    0x10: data, 0..4 GiB
/// 68  17 00 50 7c 00 00    limit 23, base 0x7c50
/// 1fe 55 aa
/// </code>
/// </summary>
public static class DirtyingGuest
{
    /// <summary>The program's unit of writing, in bytes.</summary>
    public const int PageSize = 4096;

    private const int StandardRounds = 256;
    private const int ImageSize = 1 << 20;
    private const int SectorSize = 512;
    private const int FirstPagesAt = 0x24;
    private const int FirstAt = 0x29;
    private const int DelayAt = 0x30;
    private const int PagesAt = 0x3b;
    private const int EndAt = 0x48;

    private static ReadOnlySpan<byte> Code =>
    [
        0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x0f, 0x01, 0x16, 0x68, 0x7c, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f,
        0x22, 0xc0, 0xea, 0x17, 0x7c, 0x08, 0x00, 0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8, 0x66, 0xba, 0xf8,
        0x03, 0xb0, 0x2e, 0xb9, 0x00, 0x00, 0x00, 0x00, 0xbf, 0x00, 0x00, 0x00, 0x00, 0xff, 0x07, 0xbd,
        0x00, 0x00, 0x00, 0x00, 0x4d, 0x75, 0xfd, 0x49, 0x75, 0x06, 0xb9, 0x00, 0x00, 0x00, 0x00, 0xee,
        0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x81, 0xff, 0x00, 0x00, 0x00, 0x00, 0x72, 0xdf, 0xeb, 0xd8,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x9a, 0xcf, 0x00,
        0xff, 0xff, 0x00, 0x00, 0x00, 0x92, 0xcf, 0x00, 0x17, 0x00, 0x50, 0x7c, 0x00, 0x00,
    ];

    /// <summary>Writes a bootable raw disk image of a guest that dirties as fast as it can and writes a '.' after every 256 rounds.</summary>
    /// <param name="path">The image to write.</param>
    /// <param name="first">Guest-physical address of the first page to dirty: page-aligned, at 1 MiB or above.</param>
    /// <param name="end">The address after the last page.</param>
    public static void WriteImage(string path, uint first, uint end) =>
        WriteImage(path, first, end, delay: 1, pagesPerCharacter: checked(StandardRounds * ((end - first) / PageSize)));

    /// <summary>Writes a bootable raw disk image of a guest with a pace.</summary>
    /// <param name="path">The image to write.</param>
    /// <param name="first">Guest-physical address of the first page to dirty: page-aligned, at 1 MiB or above.</param>
    /// <param name="end">The address after the last page.</param>
    /// <param name="delay">How often the delay loop runs after each page; at least once.</param>
    /// <param name="pagesPerCharacter">The guest writes a '.' after this many pages.</param>
    public static void WriteImage(string path, uint first, uint end, uint delay, uint pagesPerCharacter)
    {
        byte[] image = new byte[ImageSize];
        BootSector(first, end, delay, pagesPerCharacter).CopyTo(image, 0);
        File.WriteAllBytes(path, image);
    }

    /// <summary>The boot sector of such an image.</summary>
    public static byte[] BootSector(uint first, uint end, uint delay, uint pagesPerCharacter)
    {
        // The program counts both down before it compares them with 0.
        ArgumentOutOfRangeException.ThrowIfZero(delay);
        ArgumentOutOfRangeException.ThrowIfZero(pagesPerCharacter);
        byte[] sector = new byte[SectorSize];
        Code.CopyTo(sector);
        BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(FirstPagesAt), pagesPerCharacter);
        BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(FirstAt), first);
        BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(DelayAt), delay);
        BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(PagesAt), pagesPerCharacter);
        BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(EndAt), end);
        sector[^2] = 0x55;
        sector[^1] = 0xaa;
        return sector;
    }
}
