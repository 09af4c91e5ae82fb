using System.Buffers;
using System.Text;
using System.Text.Json;

namespace RdmaMigration.Streams;

/// <summary>
/// Decodes one device's bytes by its description (FORMAT.md, Device state). The description is the source's word: lengths are checked against the bytes.
/// </summary>
internal sealed class StateDecoder
{
    // A report for people: more elements than this are counted, not listed.
    private const int MaxListed = 64;

    // Nested arrays of empty structs could otherwise blow a small text up without end.
    private const int MaxFields = 1 << 18;

    private int _fields;

    /// <summary>Decodes fields and subsections of a VMState object and moves the reader behind them.</summary>
    /// <exception cref="StateDecodeException">Bytes and description disagree.</exception>
    public StateReport Decode(JsonElement state, string name, uint version, ref SequenceReader<byte> reader)
    {
        List<FieldReport> fields = new();
        foreach (JsonElement field in VmDescriptionReader.Objects(state, "fields"))
        {
            fields.Add(DecodeField(field, ref reader));
        }

        List<StateReport> subsections = new();
        foreach (JsonElement subsection in VmDescriptionReader.Objects(state, "subsections"))
        {
            subsections.Add(DecodeSubsection(subsection, ref reader));
        }

        return new StateReport(name, version, fields, subsections);
    }

    private StateReport DecodeSubsection(JsonElement subsection, ref SequenceReader<byte> reader)
    {
        string name = VmDescriptionReader.Text(subsection, "vmsd_name");
        if (!reader.TryRead(out byte marker) || marker != SectionType.Subsection || !reader.TryRead(out byte length))
        {
            throw new StateDecodeException($"subsection '{name}' is described, but its marker is not there");
        }

        string found = Encoding.Latin1.GetString(Take(length, name, ref reader));
        if (found != name)
        {
            throw new StateDecodeException($"subsection '{name}' is described, but '{Printable.Of(found)}' is there");
        }

        if (!reader.TryReadBigEndian(out int version))
        {
            throw Short(name, sizeof(uint), reader.Remaining);
        }

        return Decode(subsection, name, (uint)version, ref reader);
    }

    private FieldReport DecodeField(JsonElement field, ref SequenceReader<byte> reader)
    {
        if (++_fields > MaxFields)
        {
            throw new StateDecodeException($"more than {MaxFields} fields");
        }

        string name = VmDescriptionReader.Text(field, "name");
        string type = VmDescriptionReader.Text(field, "type");
        ulong length = VmDescriptionReader.Number(field, "size");
        ulong count = VmDescriptionReader.OptionalNumber(field, "array_len") ?? 1;
        if (VmDescriptionReader.OptionalNumber(field, "index") is { } index)
        {
            name = $"{name}[{index}]";
        }

        if (count != 0 && length > (ulong)reader.Remaining / count)
        {
            throw new StateDecodeException($"field '{name}': {count} times {length} bytes are described, {reader.Remaining} are left");
        }

        ulong listed = length == 0 ? Math.Min(count, 1) : Math.Min(count, MaxListed);
        List<string> values = new();
        List<StateReport> elements = new();
        for (ulong i = 0; i < listed; i++)
        {
            if (StructOf(field) is { } nested)
            {
                elements.Add(DecodeStruct(nested, name, length, ref reader));
            }
            else
            {
                values.Add(FieldValue.Format(type, Take((long)length, name, ref reader)));
            }
        }

        reader.Advance((long)((count - listed) * length));
        return new FieldReport(name, type, length, count, values, elements);
    }

    private StateReport DecodeStruct(JsonElement nested, string name, ulong length, ref SequenceReader<byte> reader)
    {
        long before = reader.Consumed;
        string stateName = VmDescriptionReader.Text(nested, "vmsd_name");
        StateReport report = Decode(nested, stateName, (uint)(VmDescriptionReader.OptionalNumber(nested, "version") ?? 0), ref reader);
        long consumed = reader.Consumed - before;
        return (ulong)consumed == length
            ? report
            : throw new StateDecodeException($"field '{name}': struct '{stateName}' has {consumed} bytes, its size is given as {length}");
    }

    /// <summary>The VMState object of a struct field; "tmp" fields carry its members themselves.</summary>
    private static JsonElement? StructOf(JsonElement field)
    {
        if (VmDescriptionReader.TryGet(field, "struct", out JsonElement nested) && nested.ValueKind == JsonValueKind.Object)
        {
            return nested;
        }

        return VmDescriptionReader.Text(field, "type") == "tmp" ? field : null;
    }

    private static ReadOnlySequence<byte> Take(long length, string name, ref SequenceReader<byte> reader)
    {
        if (length > reader.Remaining)
        {
            throw Short(name, length, reader.Remaining);
        }

        ReadOnlySequence<byte> taken = reader.UnreadSequence.Slice(0, length);
        reader.Advance(length);
        return taken;
    }

    private static StateDecodeException Short(string name, long wanted, long left) => new($"'{name}': {wanted} bytes are described, {left} are left");
}
