using System.Buffers.Binary;
using System.Text;

namespace RdmaMigration.Engine.Tests;

/// <summary>The stream of a machine with one RAM block and one device, RAM in the stream, as QEMU sends it over a socket.</summary>
internal static class StreamedMachine
{
    public const string Machine = "test-1.0";

    public const int RamSize = 4 << 20;

    private const int PageSize = 4096;

    /// <summary>RAM: the first half random, the second zero.</summary>
    public static byte[] Ram { get; } = Pattern();

    /// <summary>Header, configuration, commands and the block list.</summary>
    public static byte[] Announcement(bool returnPath) =>
    [
        .. "QEVM"u8, .. Be32(3), 0x07, .. Be32((uint)Machine.Length), .. Encoding.ASCII.GetBytes(Machine),
        .. returnPath ? (byte[])[0x08, 0, 1, 0, 0, 0x08, 0, 2, 0, 4, .. Be32(1)] : [],
        0x01, .. Be32(1), 3, .. "ram"u8, .. Be32(0), .. Be32(4),
        .. Be64(RamSize | 0x04), 6, .. "pc.ram"u8, .. Be64(RamSize), .. Be64(0x10), 0x7e, .. Be32(1),
    ];

    /// <summary>RAM, up to and including the device's header.</summary>
    public static byte[] RamSection()
    {
        using MemoryStream section = new();
        section.Write([0x03, .. Be32(1)]);
        for (int offset = 0; offset < RamSize; offset += PageSize)
        {
            ReadOnlySpan<byte> page = Ram.AsSpan(offset, PageSize);
            bool isZero = !page.ContainsAnyExcept((byte)0);
            section.Write([.. Be64((ulong)(uint)offset + (isZero ? 0x02u : 0x08u)), 6, .. "pc.ram"u8]);
            section.Write(isZero ? [0] : page);
        }

        section.Write([.. Be64(0x10), 0x7e, .. Be32(1), 0x04, .. Be32(2), 5, .. "timer"u8, .. Be32(0), .. Be32(2)]);
        return section.ToArray();
    }

    /// <summary>The device's state and the end.</summary>
    public static byte[] End()
    {
        byte[] json = Encoding.ASCII.GetBytes(
            """{"page_size": 4096, "devices": [{"name": "timer", "instance_id": 0, "vmsd_name": "timer", "version": 2, "fields": [{"name": "ticks", "type": "int64", "size": 8}]}]}""");
        return [.. Be64(0x1122334455667788), 0x7e, .. Be32(2), 0x00, 0x06, .. Be32((uint)json.Length), .. json];
    }

    /// <summary>All of it.</summary>
    public static byte[] All(bool returnPath = false) => [.. Announcement(returnPath), .. RamSection(), .. End()];

    private static byte[] Pattern()
    {
        byte[] ram = new byte[RamSize];
        new Random(1).NextBytes(ram.AsSpan(0, RamSize / 2));
        return ram;
    }

    private static byte[] Be32(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Be64(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return bytes;
    }
}
