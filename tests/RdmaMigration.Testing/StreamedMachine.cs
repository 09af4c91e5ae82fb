using System.Buffers.Binary;
using System.Text;

namespace RdmaMigration.Testing;

/// <summary>
/// A machine with one RAM block and one device, as QEMU sends it over a socket: RAM in the stream. What goes over RDMA as well is in parts of its own.
/// </summary>
public static class StreamedMachine
{
    /// <summary>The machine type that the stream names.</summary>
    public const string Machine = "test-1.0";

    /// <summary>Bytes of RAM: 4 MiB.</summary>
    public const int RamSize = 4 << 20;

    private const int PageSize = 4096;

    /// <summary>RAM: the first half random, the second zero.</summary>
    public static byte[] Ram { get; } = Pattern();

    /// <summary>Header, configuration and commands, and the block list without the end of its section.</summary>
    public static byte[] Opening(bool returnPath) => [.. Configuration(returnPath), .. BlockList()];

    /// <summary>Header, configuration and commands.</summary>
    public static byte[] Configuration(bool returnPath) =>
    [
        .. "QEVM"u8, .. Be32(3), 0x07, .. Be32((uint)Machine.Length), .. Encoding.ASCII.GetBytes(Machine),
        .. returnPath ? (byte[])[0x08, 0, 1, 0, 0, 0x08, 0, 2, 0, 4, .. Be32(1)] : [],
    ];

    /// <summary>The block list, without the end of its section.</summary>
    public static byte[] BlockList() =>
    [
        0x01, .. Be32(1), 3, .. "ram"u8, .. Be32(0), .. Be32(4),
        .. Be64(RamSize | 0x04), 6, .. "pc.ram"u8, .. Be64(RamSize),
    ];

    /// <summary>The end of a section of RAM.</summary>
    public static byte[] EndOfRam() => [.. Be64(0x10), 0x7e, .. Be32(1)];

    /// <summary>The device.</summary>
    public static byte[] Device() => [0x04, .. Be32(2), 5, .. "timer"u8, .. Be32(0), .. Be32(2), .. Be64(0x1122334455667788), 0x7e, .. Be32(2)];

    /// <summary>The end of the stream, and the vmdescription.</summary>
    public static byte[] Ending()
    {
        byte[] json = Encoding.ASCII.GetBytes(
            """{"page_size": 4096, "devices": [{"name": "timer", "instance_id": 0, "vmsd_name": "timer", "version": 2, """
            + """ "fields": [{"name": "ticks", "type": "int64", "size": 8}]}]}""");
        return [0x00, 0x06, .. Be32((uint)json.Length), .. json];
    }

    /// <summary>Everything before RAM's pages.</summary>
    public static byte[] Announcement(bool returnPath) => [.. Opening(returnPath), .. EndOfRam()];

    /// <summary>RAM's pages.</summary>
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

        section.Write(EndOfRam());
        return section.ToArray();
    }

    /// <summary>Everything behind RAM's pages.</summary>
    public static byte[] End() => [.. Device(), .. Ending()];

    /// <summary>All of it.</summary>
    public static byte[] All(bool returnPath = false) => [.. Announcement(returnPath), .. RamSection(), .. End()];

    internal static byte[] Be32(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }

    internal static byte[] Be64(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Pattern()
    {
        byte[] ram = new byte[RamSize];
        new Random(1).NextBytes(ram.AsSpan(0, RamSize / 2));
        return ram;
    }
}
