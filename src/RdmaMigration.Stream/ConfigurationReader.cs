using System.Buffers;

namespace RdmaMigration.Streams;

/// <summary>Reads magic, version and the configuration section with its subsections (FORMAT.md, Configuration).</summary>
internal static class ConfigurationReader
{
    private const uint SubsectionVersion = 1;
    private const uint MaxCapabilities = 64;

    /// <summary>The magic of a connection that capability multifd opens beside the main one.</summary>
    private const uint MultifdMagic = 0x11223344;

    public static void ReadHeader(SourceReader reader)
    {
        reader.Step = "header";
        uint magic = reader.ReadUInt32();
        if (magic == MultifdMagic)
        {
            throw reader.Unsupported(0, "this is a multifd channel, which rdmamig does not support: turn multifd off at the source");
        }

        if (magic != Wire.Magic)
        {
            throw reader.Malformed(0, $"magic 0x{magic:x8} is not QEVM (0x{Wire.Magic:x8}): this is no QEMU migration stream");
        }

        uint version = reader.ReadUInt32();
        if (version != Wire.Version)
        {
            throw reader.Malformed(4, $"version {version}, only version {Wire.Version} is readable");
        }
    }

    /// <param name="reader">Where the bytes come from.</param>
    /// <param name="defaultPageSize">The page size of a stream that states none.</param>
    /// <param name="begun">
    /// Called once the rest may be late: only the byte behind the configuration shows that no subsection follows, and a relay sends that byte after its own
    /// source has sent all RAM.
    /// </param>
    public static StreamConfiguration Read(SourceReader reader, int defaultPageSize, Action begun)
    {
        reader.Step = "configuration";
        if (reader.PeekByte() != SectionType.Configuration)
        {
            begun();
            return new StreamConfiguration(null, defaultPageSize, statesPageSize: false, [], null, default);
        }

        ArrayBufferWriter<byte> encoded = new();
        reader.RecordInto(encoded);
        reader.ReadByte();
        string machineType = reader.ReadText(reader.ReadUInt32(), "machine type");
        begun();
        int pageSize = defaultPageSize;
        IReadOnlyList<string> capabilities = [];
        Guid? uuid = null;
        HashSet<string> seen = new(StringComparer.Ordinal);
        while (reader.PeekByte() == SectionType.Subsection)
        {
            ulong at = reader.Position;
            reader.ReadByte();
            string name = reader.ReadName("subsection name");
            uint version = reader.ReadUInt32();
            if (version != SubsectionVersion)
            {
                throw reader.Malformed(at, $"subsection '{name}' has version {version}, only {SubsectionVersion} is known");
            }

            if (!seen.Add(name))
            {
                throw reader.Malformed(at, $"subsection '{name}' comes twice");
            }

            switch (name)
            {
                case Wire.PageBitsSubsection:
                    pageSize = ReadPageSize(reader);
                    break;
                case Wire.CapabilitiesSubsection:
                    capabilities = ReadCapabilities(reader);
                    break;
                case Wire.UuidSubsection:
                    uuid = ReadUuid(reader);
                    break;
                default:
                    throw reader.Unsupported(at, $"unknown subsection '{name}'");
            }
        }

        reader.RecordInto(null);
        return new StreamConfiguration(
            machineType, pageSize, seen.Contains(Wire.PageBitsSubsection), capabilities, uuid, encoded.WrittenMemory.ToArray());
    }

    private static int ReadPageSize(SourceReader reader)
    {
        ulong at = reader.Position;
        uint bits = reader.ReadUInt32();
        return bits is >= Wire.MinPageBits and <= Wire.MaxPageBits
            ? 1 << (int)bits
            : throw reader.Malformed(at, $"target page of {bits} bits, {Wire.MinPageBits} to {Wire.MaxPageBits} are allowed");
    }

    private static Guid ReadUuid(SourceReader reader)
    {
        Span<byte> bytes = stackalloc byte[16];
        reader.ReadExactly(bytes);
        return new Guid(bytes, bigEndian: true);
    }

    private static List<string> ReadCapabilities(SourceReader reader)
    {
        ulong at = reader.Position;
        uint count = reader.ReadUInt32();
        if (count > MaxCapabilities)
        {
            throw reader.Malformed(at, $"{count} capabilities, at most {MaxCapabilities} are allowed");
        }

        List<string> names = new();
        for (uint i = 0; i < count; i++)
        {
            at = reader.Position;
            string name = reader.ReadName("capability name");
            switch (name)
            {
                case Wire.IgnoreSharedCapability:
                    names.Add(name);
                    break;
                case Wire.MappedRamCapability:
                    throw reader.Unsupported(at, "the source has capability mapped-ram on, which rdmamig does not support: turn it off");
                default:
                    throw reader.Unsupported(at, $"unknown capability '{name}'");
            }
        }

        return names;
    }
}
