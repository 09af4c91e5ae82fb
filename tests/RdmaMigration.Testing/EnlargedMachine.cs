using System.Buffers.Binary;

namespace RdmaMigration.Testing;

/// <summary>
/// Gives a saved machine a larger RAM block. What is added was never written: it comes as zero pages, in a PART section behind the list of RAM blocks. A QEMU
/// cannot be asked for such a file: it reads all its RAM to find out what is zero, and reading allocates.
/// </summary>
public static class EnlargedMachine
{
    /// <summary>The list of RAM blocks is in the first bytes of a stream.</summary>
    private const int HeadBytes = 64 << 10;

    /// <summary>instance_id and version_id of a section, behind its name.</summary>
    private const int SectionIds = 8;

    private const byte Part = 2;
    private const byte Footer = 0x7e;
    private const ulong Zero = 0x02;
    private const ulong SameBlock = 0x20;
    private const ulong PageSize = 4096;

    private static readonly byte[] s_endOfSection = [0, 0, 0, 0, 0, 0, 0, 0x10];

    public static void Write(string saved, string enlarged, int fromMebibytes, int toMebibytes)
    {
        using FileStream from = File.OpenRead(saved);
        using FileStream file = File.Create(enlarged);
        byte[] head = new byte[Math.Min(HeadBytes, from.Length)];
        from.ReadExactly(head);
        ulong more = (ulong)(toMebibytes - fromMebibytes) << 20;
        int ram = Behind(head, "ram");
        ReadOnlySpan<byte> sectionId = head.AsSpan(ram - 1 - "ram".Length - sizeof(uint), sizeof(uint));
        Add(head, ram + SectionIds, more);
        int block = Behind(head, QemuOptions.RamBlockName);
        ulong length = BinaryPrimitives.ReadUInt64BigEndian(head.AsSpan(block));
        if (length != (ulong)fromMebibytes << 20)
        {
            throw new InvalidDataException($"{saved}: {QemuOptions.RamBlockName} has {length} bytes, not {fromMebibytes} MiB");
        }

        Add(head, block, more);
        byte[] endOfStart = [.. s_endOfSection, Footer, .. sectionId];
        int rest = head.AsSpan(block).IndexOf(endOfStart) + block + endOfStart.Length;
        file.Write(head.AsSpan(0, rest));
        file.Write([Part, .. sectionId]);
        WriteZeroPages(file, length, length + more);
        file.Write(endOfStart);
        file.Write(head.AsSpan(rest));
        from.CopyTo(file);
    }

    private static void WriteZeroPages(FileStream file, ulong from, ulong to)
    {
        byte[] name = [(byte)QemuOptions.RamBlockName.Length, .. System.Text.Encoding.ASCII.GetBytes(QemuOptions.RamBlockName)];
        byte[] entry = new byte[sizeof(ulong) + 1];
        for (ulong page = from; page < to; page += PageSize)
        {
            BinaryPrimitives.WriteUInt64BigEndian(entry, page | (page == from ? Zero : Zero | SameBlock));
            file.Write(entry.AsSpan(0, sizeof(ulong)));
            file.Write(page == from ? name : []);
            file.Write(entry.AsSpan(sizeof(ulong)));
        }
    }

    /// <summary>The offset behind a counted string.</summary>
    private static int Behind(ReadOnlySpan<byte> head, string name)
    {
        byte[] counted = [(byte)name.Length, .. System.Text.Encoding.ASCII.GetBytes(name)];
        int at = head.IndexOf(counted);
        return at >= 0 ? at + counted.Length : throw new InvalidDataException($"no '{name}' in the stream's first bytes");
    }

    private static void Add(Span<byte> head, int at, ulong more) =>
        BinaryPrimitives.WriteUInt64BigEndian(head[at..], BinaryPrimitives.ReadUInt64BigEndian(head[at..]) + more);
}
