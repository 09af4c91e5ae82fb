using System.Buffers.Binary;
using System.Text;

namespace RdmaMigration.Streams;

/// <summary>What stands before a section's data (FORMAT.md, Sections). PART and END carry only the id; their name is known from their START.</summary>
internal readonly record struct SectionHeader(byte Type, uint Id, string Name, uint InstanceId, uint Version)
{
    /// <summary>The most bytes that <see cref="Encode"/> writes.</summary>
    public const int MaxLength = 1 + sizeof(uint) + 1 + byte.MaxValue + sizeof(uint) + sizeof(uint);

    public bool IsRam => Name == Wire.RamSection && InstanceId == 0;

    public string TypeName => Type switch
    {
        SectionType.Start => "START",
        SectionType.Part => "PART",
        SectionType.End => "END",
        _ => "FULL",
    };

    public string Step => $"section '{Name}' ({TypeName}, id {Id})";

    /// <summary>Reads what follows the type byte of a START or FULL section.</summary>
    public static SectionHeader ReadNamed(SourceReader reader, byte type)
    {
        uint id = reader.ReadUInt32();
        string name = reader.ReadName("section name");
        return new SectionHeader(type, id, name, reader.ReadUInt32(), reader.ReadUInt32());
    }

    /// <summary>Writes the header and returns its length.</summary>
    public int Encode(Span<byte> destination)
    {
        destination[0] = Type;
        BinaryPrimitives.WriteUInt32BigEndian(destination[1..], Id);
        int length = 1 + sizeof(uint);
        if (Type is SectionType.Start or SectionType.Full)
        {
            destination[length++] = (byte)Name.Length;
            length += Encoding.ASCII.GetBytes(Name, destination[length..]);
            BinaryPrimitives.WriteUInt32BigEndian(destination[length..], InstanceId);
            BinaryPrimitives.WriteUInt32BigEndian(destination[(length + sizeof(uint))..], Version);
            length += 2 * sizeof(uint);
        }

        return length;
    }
}
