using System.Buffers;
using System.Text.Json;

namespace RdmaMigration.Streams;

/// <summary>A device as the vmdescription lists it.</summary>
/// <param name="Name">Its idstr.</param>
/// <param name="InstanceId">Its instance id.</param>
/// <param name="Length">Bytes of its data; null if the list does not say.</param>
internal readonly record struct DeviceEntry(string? Name, ulong? InstanceId, ulong? Length)
{
    public bool Is(string name, uint instance) => Name == name && InstanceId == instance;
}

/// <summary>Reads names and lengths of the devices in a vmdescription, in one pass over the text.</summary>
internal ref struct DeviceListReader
{
    private Utf8JsonReader _json;

    private DeviceListReader(ReadOnlySpan<byte> text) => _json = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = VmDescriptionReader.MaxDepth });

    /// <summary>Reads the text. QEMU 8.2 and later omit its opening brace when the stream has no configuration section.</summary>
    /// <exception cref="JsonException">It is no JSON object.</exception>
    public static DeviceEntry[] Read(in ReadOnlySequence<byte> text)
    {
        int omitted = text.FirstSpan[0] == (byte)'"' ? 1 : 0;
        int length = omitted + checked((int)text.Length);

        // In one piece: reading pieces costs a receiver more than the copy.
        byte[] whole = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            whole[0] = (byte)'{';
            text.CopyTo(whole.AsSpan(omitted));
            DeviceListReader reader = new(whole.AsSpan(0, length));
            return reader.ReadAll();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(whole);
        }
    }

    private DeviceEntry[] ReadAll()
    {
        Expect(JsonTokenType.StartObject);
        List<DeviceEntry> devices = new();
        while (NextMember(out Member member))
        {
            if (member is not Member.Devices)
            {
                _json.Skip();
                continue;
            }

            for (bool isArray = EnterArray(); isArray && NextObject();)
            {
                devices.Add(ReadDevice());
            }
        }

        return _json.Read() ? throw new JsonException("more than one value") : [.. devices];
    }

    private DeviceEntry ReadDevice()
    {
        string? name = null;
        ulong? instance = null;
        ulong? length = 0;
        while (NextMember(out Member member))
        {
            switch (member)
            {
                case Member.Name:
                    name = Text();
                    break;
                case Member.InstanceId:
                    instance = Number();
                    break;
                case Member.Fields:
                    length = Sum(length, ReadFields());
                    break;
                case Member.Subsections:
                    length = Sum(length, ReadSubsections());
                    break;
                default:
                    _json.Skip();
                    break;
            }
        }

        return new DeviceEntry(name, instance, length);
    }

    /// <summary>Bytes of all fields: the size of a struct counts what is in it.</summary>
    private ulong? ReadFields()
    {
        ulong? sum = 0;
        for (bool isArray = EnterArray(); isArray && NextObject();)
        {
            ulong? size = null;
            ulong? count = 1;
            while (NextMember(out Member member))
            {
                switch (member)
                {
                    case Member.Size:
                        size = Number();
                        break;
                    case Member.ArrayLength:
                        count = Number();
                        break;
                    default:
                        _json.Skip();
                        break;
                }
            }

            sum = Sum(sum, Product(size, count));
        }

        return sum;
    }

    /// <summary>Bytes of all subsections, each with its marker, name and version.</summary>
    private ulong? ReadSubsections()
    {
        ulong? sum = 0;
        for (bool isArray = EnterArray(); isArray && NextObject();)
        {
            ulong? length = 1 + 1 + sizeof(uint);
            while (NextMember(out Member member))
            {
                switch (member)
                {
                    case Member.DescriptionName:
                        length = Sum(length, (ulong?)Text()?.Length);
                        break;
                    case Member.Fields:
                        length = Sum(length, ReadFields());
                        break;
                    case Member.Subsections:
                        length = Sum(length, ReadSubsections());
                        break;
                    default:
                        _json.Skip();
                        break;
                }
            }

            sum = Sum(sum, length);
        }

        return sum;
    }

    /// <summary>Moves to the value of the next member; false behind the last one. A text has thousands of names, so none becomes a string.</summary>
    private bool NextMember(out Member member)
    {
        _json.Read();
        member = Member.Other;
        if (_json.TokenType == JsonTokenType.EndObject)
        {
            return false;
        }

        member = Identify(_json.ValueSpan);
        _json.Read();
        return true;
    }

    private static Member Identify(ReadOnlySpan<byte> name) => name.Length switch
    {
        4 when name.SequenceEqual("name"u8) => Member.Name,
        4 when name.SequenceEqual("size"u8) => Member.Size,
        6 when name.SequenceEqual("fields"u8) => Member.Fields,
        7 when name.SequenceEqual("devices"u8) => Member.Devices,
        9 when name.SequenceEqual("array_len"u8) => Member.ArrayLength,
        9 when name.SequenceEqual("vmsd_name"u8) => Member.DescriptionName,
        11 when name.SequenceEqual("subsections"u8) => Member.Subsections,
        11 when name.SequenceEqual("instance_id"u8) => Member.InstanceId,
        _ => Member.Other,
    };

    /// <summary>False for a value that is no array, which is skipped.</summary>
    private bool EnterArray()
    {
        if (_json.TokenType == JsonTokenType.StartArray)
        {
            return true;
        }

        _json.Skip();
        return false;
    }

    /// <summary>Moves into the array's next object; what is no object is skipped. False behind the last one.</summary>
    private bool NextObject()
    {
        while (_json.Read() && _json.TokenType != JsonTokenType.EndArray)
        {
            if (_json.TokenType == JsonTokenType.StartObject)
            {
                return true;
            }

            _json.Skip();
        }

        return false;
    }

    /// <summary>A string's text; null for one that is no valid text, and for other values.</summary>
    private string? Text()
    {
        if (_json.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName))
        {
            _json.Skip();
            return null;
        }

        try
        {
            return _json.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private ulong? Number()
    {
        if (_json.TokenType == JsonTokenType.Number && _json.TryGetUInt64(out ulong number))
        {
            return number;
        }

        _json.Skip();
        return null;
    }

    private void Expect(JsonTokenType type)
    {
        if (!_json.Read() || _json.TokenType != type)
        {
            throw new JsonException($"no {type}");
        }
    }

    private static ulong? Sum(ulong? left, ulong? right) => left is { } a && right is { } b && a <= ulong.MaxValue - b ? a + b : null;

    private static ulong? Product(ulong? left, ulong? right) =>
        left is { } a && right is { } b && (UInt128)a * b <= ulong.MaxValue ? a * b : null;

    /// <summary>The members that count.</summary>
    private enum Member
    {
        Other,
        Devices,
        Name,
        InstanceId,
        Fields,
        Subsections,
        Size,
        ArrayLength,
        DescriptionName,
    }
}
