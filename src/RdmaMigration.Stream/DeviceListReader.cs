using System.Buffers;
using System.Text.Json;
using Nerdbank.Streams;

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
    private static readonly byte[] s_openingBrace = [(byte)'{'];

    private Utf8JsonReader _json;

    private DeviceListReader(ReadOnlySequence<byte> text) =>
        _json = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = VmDescriptionReader.MaxDepth });

    /// <summary>Reads the text. QEMU 8.2 and later omit its opening brace when the stream has no configuration section.</summary>
    /// <exception cref="JsonException">It is no JSON object.</exception>
    public static DeviceEntry[] Read(ReadOnlySequence<byte> text)
    {
        using Sequence<byte> whole = new();
        if (text.FirstSpan[0] == (byte)'"')
        {
            whole.Append(s_openingBrace);
            foreach (ReadOnlyMemory<byte> piece in text)
            {
                whole.Append(piece);
            }

            text = whole;
        }

        DeviceListReader reader = new(text);
        return reader.ReadAll();
    }

    private DeviceEntry[] ReadAll()
    {
        Expect(JsonTokenType.StartObject);
        List<DeviceEntry> devices = new();
        while (NextMember(out string? name))
        {
            if (name != "devices")
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
        while (NextMember(out string? member))
        {
            switch (member)
            {
                case "name":
                    name = Text();
                    break;
                case "instance_id":
                    instance = Number();
                    break;
                case "fields":
                    length = Sum(length, ReadFields());
                    break;
                case "subsections":
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
            while (NextMember(out string? member))
            {
                switch (member)
                {
                    case "size":
                        size = Number();
                        break;
                    case "array_len":
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
            while (NextMember(out string? member))
            {
                switch (member)
                {
                    case "vmsd_name":
                        length = Sum(length, (ulong?)Text()?.Length);
                        break;
                    case "fields":
                        length = Sum(length, ReadFields());
                        break;
                    case "subsections":
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

    /// <summary>Moves to the value of the next member; false behind the last one.</summary>
    private bool NextMember(out string? name)
    {
        _json.Read();
        name = null;
        if (_json.TokenType == JsonTokenType.EndObject)
        {
            return false;
        }

        name = Text();
        _json.Read();
        return true;
    }

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
}
