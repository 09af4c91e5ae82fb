using System.Buffers.Binary;

namespace RdmaMigration.Testing;

/// <summary>
/// A guest program of one boot sector that increments the first dword of every page of a range for ever, and writes a '.' to COM1
/// after every 256 rounds. Ours from the first byte; the listing:
/// <code>
///                          .code16                      # loaded at 0x7c00
/// 00  fa                   cli
/// 01  31 c0                xor  ax, ax
/// 03  8e d8                mov  ds, ax
/// 05  0f 01 16 60 7c       lgdt [0x7c60]
/// 0a  0f 20 c0             mov  eax, cr0
/// 0d  0c 01                or   al, 1                   # protected mode, no paging
/// 0f  0f 22 c0             mov  cr0, eax
/// 12  ea 17 7c 08 00       ljmp 0x08, 0x7c17
///                          .code32
/// 17  66 b8 10 00          mov  ax, 0x10
/// 1b  8e d8                mov  ds, eax
/// 1d  31 c9                xor  ecx, ecx
/// 1f  66 ba f8 03          mov  dx, 0x3f8
/// 23  b0 2e                mov  al, '.'
/// 25  bf [first]           mov  edi, first              # a round begins
/// 2a  ff 07                inc  dword ptr [edi]
/// 2c  81 c7 00 10 00 00    add  edi, 0x1000
/// 32  81 ff [end]          cmp  edi, end
/// 38  72 f0                jb   0x2a
/// 3a  41                   inc  ecx
/// 3b  84 c9                test cl, cl
/// 3d  75 e6                jnz  0x25
/// 3f  ee                   out  dx, al
/// 40  eb e3                jmp  0x25
/// 48  (8 zero bytes)       descriptor 0
/// 50  ff ff 00 00 00 9a cf 00    0x08: code, 0..4 GiB
/// 58  ff ff 00 00 00 92 cf 00    0x10: data, 0..4 GiB
/// 60  17 00 48 7c 00 00    limit 23, base 0x7c48
/// 1fe 55 aa
/// </code>
/// </summary>
public static class DirtyingGuest
{
    private const int FirstAt = 0x26;
    private const int EndAt = 0x34;

    private static ReadOnlySpan<byte> Code =>
    [
        0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x0f, 0x01, 0x16, 0x60, 0x7c, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f,
        0x22, 0xc0, 0xea, 0x17, 0x7c, 0x08, 0x00, 0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8, 0x31, 0xc9, 0x66,
        0xba, 0xf8, 0x03, 0xb0, 0x2e, 0xbf, 0x00, 0x00, 0x00, 0x00, 0xff, 0x07, 0x81, 0xc7, 0x00, 0x10,
        0x00, 0x00, 0x81, 0xff, 0x00, 0x00, 0x00, 0x00, 0x72, 0xf0, 0x41, 0x84, 0xc9, 0x75, 0xe6, 0xee,
        0xeb, 0xe3, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0xff, 0xff, 0x00, 0x00, 0x00, 0x9a, 0xcf, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x92, 0xcf, 0x00,
        0x17, 0x00, 0x48, 0x7c, 0x00, 0x00,
    ];

    /// <summary>Writes a bootable raw disk image.</summary>
    /// <param name="path">The image to write.</param>
    /// <param name="first">Guest-physical address of the first page to dirty: page-aligned, at 1 MiB or above.</param>
    /// <param name="end">The address after the last page.</param>
    public static void WriteImage(string path, uint first, uint end)
    {
        byte[] image = new byte[1 << 20];
        Code.CopyTo(image);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(FirstAt), first);
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(EndAt), end);
        image[510] = 0x55;
        image[511] = 0xaa;
        File.WriteAllBytes(path, image);
    }
}
