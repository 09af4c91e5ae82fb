namespace RdmaMigration.Streams;

/// <summary>Section markers (FORMAT.md, Sections).</summary>
internal static class SectionType
{
    public const byte EndOfFile = 0x00;
    public const byte Start = 0x01;
    public const byte Part = 0x02;
    public const byte End = 0x03;
    public const byte Full = 0x04;
    public const byte Subsection = 0x05;
    public const byte VmDescription = 0x06;
    public const byte Configuration = 0x07;
    public const byte Command = 0x08;
    public const byte Footer = 0x7e;

    /// <summary>Bytes of a footer: the marker and a be32 section id.</summary>
    public const int FooterLength = 5;
}

/// <summary>Flags of a RAM entry: the bits of its be64 below the target page size (FORMAT.md, RAM).</summary>
internal static class RamFlags
{
    public const ulong Zero = 0x002;
    public const ulong MemSize = 0x004;
    public const ulong Page = 0x008;
    public const ulong EndOfSection = 0x010;
    public const ulong Continue = 0x020;
    public const ulong Xbzrle = 0x040;
    public const ulong Hook = 0x080;
    public const ulong CompressPage = 0x100;
    public const ulong MultifdFlush = 0x200;
}

/// <summary>Constants of the stream as a whole (FORMAT.md).</summary>
internal static class Wire
{
    public const uint Magic = 0x5145564d;
    public const uint Version = 3;
    public const uint RamVersion = 4;
    public const int DefaultPageSize = 4096;

    /// <summary>A read of at least this many bytes bypasses the buffer.</summary>
    public const int DirectReadLength = 1024;

    public const int MinPageBits = 8;
    public const int MaxPageBits = 16;

    /// <summary>The most bytes of a package (FORMAT.md, Packages).</summary>
    public const int MaxPackage = 16 << 20;

    /// <summary>The section that carries guest memory.</summary>
    public const string RamSection = "ram";

    public const string PageBitsSubsection = "configuration/target-page-bits";
    public const string CapabilitiesSubsection = "configuration/capabilities";
    public const string UuidSubsection = "configuration/uuid";

    public const string IgnoreSharedCapability = "x-ignore-shared";
    public const string MappedRamCapability = "mapped-ram";
}
