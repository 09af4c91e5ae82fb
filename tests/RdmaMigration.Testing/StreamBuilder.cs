using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace RdmaMigration.Testing;

/// <summary>Writes streams by hand, right ones and wrong ones. Encodes by itself, so that a mistake in the product's encoder shows.</summary>
public sealed class StreamBuilder
{
    public const int Page = 4096;
    public const byte Start = 1, Part = 2, End = 3, Full = 4;
    public const uint RamId = 2;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    private readonly List<Range> _contents = [];

    public int Length => _bytes.WrittenCount;

    /// <summary>The offsets of all bytes that are not the content of a page.</summary>
    public int[] Structure => [.. Enumerable.Range(0, Length).Where(i => !_contents.Exists(r => i >= r.Start.Value && i < r.End.Value))];

    /// <summary>Header and a configuration of a machine called "test".</summary>
    public static StreamBuilder WithConfiguration() => new StreamBuilder().Header().Configuration("test");

    /// <summary>A complete small machine: blocks "a" (4 pages: data, zero, data, hole) and "b" (1 page), one device, a vmdescription.</summary>
    public static byte[] SmallMachine(bool footers = true, bool vmDescription = true) => SmallMachineBuilder(footers, vmDescription).ToArray();

    public static StreamBuilder SmallMachineBuilder(bool footers, bool vmDescription)
    {
        StreamBuilder b = WithConfiguration()
            .Opened(Start, RamId, "ram", 0, 4).BlockList(("a", 4 * Page), ("b", Page)).Eos().Footer(RamId, footers)
            .Continued(End, RamId)
            .PageOf("a", 0, 0x11).Zero(null, Page).PageOf(null, 2 * Page, 0x22).Zero(null, 3 * Page).PageOf("b", 0, 0x33)
            .Eos().Footer(RamId, footers)
            .Opened(Full, 3, "dev", 0, 1).UInt32(0xfeedface).Footer(3, footers)
            .EndOfFile();
        return vmDescription ? b.VmDescription(SmallDescription) : b;
    }

    public const string SmallDescription =
        """{"page_size": 4096, "devices": [{"name": "dev", "instance_id": 0, "vmsd_name": "dev", "version": 1, """
        + """ "fields": [{"name": "x", "type": "uint32", "size": 4}]}]}""";

    public StreamBuilder Header(uint magic = 0x5145564d, uint version = 3) => UInt32(magic).UInt32(version);

    public StreamBuilder Configuration(string machine) => Byte(7).UInt32((uint)machine.Length).Text(machine);

    public StreamBuilder Subsection(string name, uint version = 1) => Byte(5).Name(name).UInt32(version);

    public StreamBuilder Command(ushort code, params byte[] payload) => Byte(8).UInt16(code).UInt16((ushort)payload.Length).Raw(payload);

    /// <summary>A command and the package that it announces.</summary>
    public StreamBuilder Package(params byte[] content) => PackageHeader((uint)content.Length).Raw(content);

    public StreamBuilder PackageHeader(uint length) => Byte(8).UInt16(7).UInt16(4).UInt32(length);

    public StreamBuilder Opened(byte type, uint id, string name, uint instance, uint version) =>
        Byte(type).UInt32(id).Name(name).UInt32(instance).UInt32(version);

    public StreamBuilder Continued(byte type, uint id) => Byte(type).UInt32(id);

    public StreamBuilder Footer(uint id, bool present = true) => present ? Byte(0x7e).UInt32(id) : this;

    public StreamBuilder BlockList(params (string Name, ulong Length)[] blocks)
    {
        UInt64(blocks.Aggregate(0UL, (sum, b) => sum + b.Length) | 4);
        foreach ((string name, ulong length) in blocks)
        {
            Name(name).UInt64(length);
        }

        return this;
    }

    public StreamBuilder Entry(ulong offset, ulong flags, string? block) => block is null ? UInt64(offset | flags | 0x20) : UInt64(offset | flags).Name(block);

    public StreamBuilder Zero(string? block, ulong offset, byte fill = 0) => Entry(offset, 2, block).Byte(fill);

    public StreamBuilder PageOf(string? block, ulong offset, byte value) => PageOf(block, offset, Enumerable.Repeat(value, Page).ToArray());

    public StreamBuilder PageOf(string? block, ulong offset, byte[] content)
    {
        Entry(offset, 8, block);
        _contents.Add(Length..(Length + content.Length));
        return Raw(content);
    }

    public StreamBuilder Eos() => UInt64(0x10);

    public StreamBuilder Hook() => UInt64(0x80);

    public StreamBuilder EndOfFile() => Byte(0);

    public StreamBuilder VmDescription(string json) => Byte(6).UInt32((uint)json.Length).Text(json);

    public StreamBuilder Name(string name) => Byte((byte)name.Length).Text(name);

    public StreamBuilder Text(string text) => Raw(Encoding.Latin1.GetBytes(text));

    public StreamBuilder Raw(params byte[] bytes)
    {
        _bytes.Write(bytes);
        return this;
    }

    public StreamBuilder Byte(byte value) => Raw(value);

    public StreamBuilder UInt16(ushort value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(_bytes.GetSpan(2), value);
        _bytes.Advance(2);
        return this;
    }

    public StreamBuilder UInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32BigEndian(_bytes.GetSpan(4), value);
        _bytes.Advance(4);
        return this;
    }

    public StreamBuilder UInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(_bytes.GetSpan(8), value);
        _bytes.Advance(8);
        return this;
    }

    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();
}
