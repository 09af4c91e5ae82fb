using System.Buffers.Binary;

namespace RdmaMigration.Interop.Harness;

/// <summary>
/// Gives a saved machine a larger RAM block. What is added was never written: a stream has no entries for such pages, so only two numbers change. A QEMU
/// cannot be asked for such a file: it reads all its RAM to find out what is zero, and reading allocates.
/// </summary>
internal static class EnlargedMachine
{
    /// <summary>The list of RAM blocks is in the first bytes of a stream.</summary>
    private const int HeadBytes = 64 << 10;

    /// <summary>instance_id and version_id of a section, behind its name.</summary>
    private const int SectionIds = 8;

    public static void Write(string saved, string enlarged, int fromMebibytes, int toMebibytes)
    {
        File.Copy(saved, enlarged, overwrite: true);
        using FileStream file = new(enlarged, FileMode.Open, FileAccess.ReadWrite);
        byte[] head = new byte[Math.Min(HeadBytes, file.Length)];
        file.ReadExactly(head);
        ulong more = (ulong)(toMebibytes - fromMebibytes) << 20;
        Add(head, Behind(head, "ram") + SectionIds, more);
        int block = Behind(head, QemuOptions.RamBlockName);
        ulong length = BinaryPrimitives.ReadUInt64BigEndian(head.AsSpan(block));
        if (length != (ulong)fromMebibytes << 20)
        {
            throw new InvalidDataException($"{saved}: {QemuOptions.RamBlockName} has {length} bytes, not {fromMebibytes} MiB");
        }

        Add(head, block, more);
        file.Position = 0;
        file.Write(head);
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
