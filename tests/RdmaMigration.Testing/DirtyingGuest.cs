using System.Buffers.Binary;

namespace RdmaMigration.Testing;

/// <summary>
/// A guest program of one boot sector that increments the first dword of every page of a range for ever, and writes a '.' to COM1
/// each time it has written a given number of pages. With a pace it halts after a number of pages until the timer's next tick, and
/// misses ticks while it is held up; without one the instructions marked * are nop. Ours from the first byte; the listing:
/// <code>
///                          .code16                      # loaded at 0x7c00
/// 00  fa                   cli
/// 01  31 c0                xor  ax, ax
/// 03  8e d8                mov  ds, ax
/// 05  0f 01 16 b0 7c       lgdt [0x7cb0]
/// 0a  0f 01 1e b6 7c       lidt [0x7cb6]
/// 0f  0f 20 c0             mov  eax, cr0
/// 12  0c 01                or   al, 1                   # protected mode, no paging
/// 14  0f 22 c0             mov  cr0, eax
/// 17  ea 1c 7c 08 00       ljmp 0x08, 0x7c1c
///                          .code32
/// 1c  66 b8 10 00          mov  ax, 0x10
/// 20  8e d8                mov  ds, eax
/// 22  8e d0                mov  ss, eax
/// 24  bc 00 7c 00 00       mov  esp, 0x7c00
/// 29  b0 11                mov  al, 0x11                # interrupt controller: IRQ 0 is vector 0x20, the others are masked
/// 2b  e6 20                out  0x20, al
/// 2d  b0 20                mov  al, 0x20
/// 2f  e6 21                out  0x21, al
/// 31  b0 04                mov  al, 4
/// 33  e6 21                out  0x21, al
/// 35  b0 01                mov  al, 1
/// 37  e6 21                out  0x21, al
/// 39  b0 fe                mov  al, 0xfe
/// 3b  e6 21                out  0x21, al
/// 3d  b0 34                mov  al, 0x34                # timer: 1193182 Hz / 0x48d3 = 64 Hz
/// 3f  e6 43                out  0x43, al
/// 41  b0 d3                mov  al, 0xd3
/// 43  e6 40                out  0x40, al
/// 45  b0 48                mov  al, 0x48
/// 47  e6 40                out  0x40, al
/// 49  66 ba f8 03          mov  dx, 0x3f8
/// 4d  b9 [characters]      mov  ecx, pages              # pages until the next '.'
/// 52  bb [ticks]           mov  ebx, pages              # pages until the next halt
/// 57  fb                 * sti
/// 58  bf [first]           mov  edi, first              # a round begins
/// 5d  ff 07                inc  dword ptr [edi]
/// 5f  4b                   dec  ebx
/// 60  75 06                jnz  0x68
/// 62  bb [ticks]           mov  ebx, pages
/// 67  f4                 * hlt
/// 68  49                   dec  ecx
/// 69  75 08                jnz  0x73
/// 6b  b9 [characters]      mov  ecx, pages
/// 70  b0 2e                mov  al, '.'
/// 72  ee                   out  dx, al
/// 73  81 c7 00 10 00 00    add  edi, 0x1000
/// 79  81 ff [end]          cmp  edi, end
/// 7f  72 dc                jb   0x5d
/// 81  eb d5                jmp  0x58
/// 83  50                   push eax                     # a tick
/// 84  b0 20                mov  al, 0x20
/// 86  e6 20                out  0x20, al
/// 88  58                   pop  eax
/// 89  cf                   iretd
/// 90  (8 zero bytes)       descriptor 0
/// 98  ff ff 00 00 00 9a cf 00    0x08: code, 0..4 GiB
/// a0  ff ff 00 00 00 92 cf 00    0x10: data, 0..4 GiB
/// a8  83 7c 08 00 00 8e 00 00    vector 0x20: interrupt gate to 0x7c83
/// b0  17 00 90 7c 00 00    descriptors: limit 23, base 0x7c90
/// b6  07 01 a8 7b 00 00    vectors: limit 0x107, base 0x7ba8, so that vector 0x20 is at 0x7ca8
/// 1fe 55 aa
/// </code>
/// </summary>
public static class DirtyingGuest
{
    /// <summary>The program's unit of writing, in bytes.</summary>
    public const int PageSize = 4096;

    /// <summary>How often a guest with a pace goes on, each second.</summary>
    public const int TicksPerSecond = 64;

    private const int StandardRounds = 256;
    private const int ImageSize = 1 << 20;
    private const int SectorSize = 512;
    private const byte Nop = 0x90;
    private const int FirstCharactersAt = 0x4e;
    private const int FirstTicksAt = 0x53;
    private const int StiAt = 0x57;
    private const int FirstAt = 0x59;
    private const int TicksAt = 0x63;
    private const int HltAt = 0x67;
    private const int CharactersAt = 0x6c;
    private const int EndAt = 0x7b;

    private static ReadOnlySpan<byte> Code =>
    [
        0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x0f, 0x01, 0x16, 0xb0, 0x7c, 0x0f, 0x01, 0x1e, 0xb6, 0x7c, 0x0f,
        0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, 0xea, 0x1c, 0x7c, 0x08, 0x00, 0x66, 0xb8, 0x10, 0x00,
        0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0x00, 0x00, 0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x20, 0xe6,
        0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe, 0xe6, 0x21, 0xb0, 0x34, 0xe6,
        0x43, 0xb0, 0xd3, 0xe6, 0x40, 0xb0, 0x48, 0xe6, 0x40, 0x66, 0xba, 0xf8, 0x03, 0xb9, 0x00, 0x00,
        0x00, 0x00, 0xbb, 0x00, 0x00, 0x00, 0x00, 0xfb, 0xbf, 0x00, 0x00, 0x00, 0x00, 0xff, 0x07, 0x4b,
        0x75, 0x06, 0xbb, 0x00, 0x00, 0x00, 0x00, 0xf4, 0x49, 0x75, 0x08, 0xb9, 0x00, 0x00, 0x00, 0x00,
        0xb0, 0x2e, 0xee, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x81, 0xff, 0x00, 0x00, 0x00, 0x00, 0x72,
        0xdc, 0xeb, 0xd5, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x9a, 0xcf, 0x00,
        0xff, 0xff, 0x00, 0x00, 0x00, 0x92, 0xcf, 0x00, 0x83, 0x7c, 0x08, 0x00, 0x00, 0x8e, 0x00, 0x00,
        0x17, 0x00, 0x90, 0x7c, 0x00, 0x00, 0x07, 0x01, 0xa8, 0x7b, 0x00, 0x00,
    ];

    /// <summary>Writes a bootable raw disk image of a guest that dirties as fast as it can and writes a '.' after every 256 rounds.</summary>
    /// <param name="path">The image to write.</param>
    /// <param name="first">Guest-physical address of the first page to dirty: page-aligned, at 1 MiB or above.</param>
    /// <param name="end">The address after the last page.</param>
    public static void WriteImage(string path, uint first, uint end) =>
        WriteImage(path, first, end, pagesPerTick: 0, pagesPerCharacter: checked(StandardRounds * ((end - first) / PageSize)));

    /// <summary>Writes a bootable raw disk image of a guest with a pace.</summary>
    /// <param name="path">The image to write.</param>
    /// <param name="first">Guest-physical address of the first page to dirty: page-aligned, at 1 MiB or above.</param>
    /// <param name="end">The address after the last page.</param>
    /// <param name="pagesPerTick">The guest halts after this many pages until the next of <see cref="TicksPerSecond"/> ticks; 0: never.</param>
    /// <param name="pagesPerCharacter">The guest writes a '.' after this many pages.</param>
    public static void WriteImage(string path, uint first, uint end, uint pagesPerTick, uint pagesPerCharacter)
    {
        byte[] image = new byte[ImageSize];
        BootSector(first, end, pagesPerTick, pagesPerCharacter).CopyTo(image, 0);
        File.WriteAllBytes(path, image);
    }

    /// <summary>The boot sector of such an image.</summary>
    public static byte[] BootSector(uint first, uint end, uint pagesPerTick, uint pagesPerCharacter)
    {
        // The program counts down before it compares with 0.
        ArgumentOutOfRangeException.ThrowIfZero(pagesPerCharacter);
        byte[] sector = new byte[SectorSize];
        Code.CopyTo(sector);
        Set(FirstCharactersAt, pagesPerCharacter);
        Set(CharactersAt, pagesPerCharacter);
        Set(FirstTicksAt, pagesPerTick);
        Set(TicksAt, pagesPerTick);
        Set(FirstAt, first);
        Set(EndAt, end);
        if (pagesPerTick == 0)
        {
            sector[StiAt] = sector[HltAt] = Nop;
        }

        sector[^2] = 0x55;
        sector[^1] = 0xaa;
        return sector;

        void Set(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(at), value);
    }
}
