using System.Text.Json;

namespace RdmaMigration.Streams;

/// <summary>
/// Reads members of the vmdescription's JSON objects (FORMAT.md, Device state). What is missing or of a wrong kind is a <see cref="StateDecodeException"/>.
/// </summary>
internal static class VmDescriptionReader
{
    /// <summary>Nested JSON values: each level of VMState takes three, and real machines nest a few levels.</summary>
    public const int MaxDepth = 256;

    /// <summary>Parses the text. QEMU 8.2 and later omit its opening brace when the stream has no configuration section.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> text)
    {
        JsonDocumentOptions options = new() { MaxDepth = MaxDepth };
        return text.Span is [(byte)'"', ..]
            ? JsonDocument.Parse(new byte[] { (byte)'{' }.Concat(text.ToArray()).ToArray(), options)
            : JsonDocument.Parse(text, options);
    }

    /// <summary>A text member, fit for a terminal.</summary>
    public static string Text(JsonElement from, string name)
    {
        if (!TryGet(from, name, out JsonElement value) || value.ValueKind != JsonValueKind.String)
        {
            throw new StateDecodeException($"the vmdescription has no text '{name}' where it must");
        }

        try
        {
            return Printable.Of(value.GetString());
        }
        catch (InvalidOperationException e)
        {
            throw new StateDecodeException($"'{name}' in the vmdescription is no valid text: {e.Message}");
        }
    }

    public static ulong Number(JsonElement from, string name) =>
        OptionalNumber(from, name) ?? throw new StateDecodeException($"the vmdescription has no number '{name}' where it must");

    public static ulong? OptionalNumber(JsonElement from, string name)
    {
        if (!TryGet(from, name, out JsonElement value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetUInt64(out ulong number)
            ? number
            : throw new StateDecodeException($"'{name}' in the vmdescription is no whole number");
    }

    /// <summary>The objects in an array member; none if there is no such member.</summary>
    public static IEnumerable<JsonElement> Objects(JsonElement from, string name)
    {
        if (!TryGet(from, name, out JsonElement array))
        {
            return [];
        }

        return array.ValueKind == JsonValueKind.Array && array.EnumerateArray().All(e => e.ValueKind == JsonValueKind.Object)
            ? array.EnumerateArray()
            : throw new StateDecodeException($"'{name}' in the vmdescription is no list of objects");
    }

    /// <summary>Looks for a member. JSON allows names that are no valid text, such as half a surrogate pair, and .NET does not.</summary>
    public static bool TryGet(JsonElement from, string name, out JsonElement value)
    {
        try
        {
            return from.TryGetProperty(name, out value);
        }
        catch (InvalidOperationException e)
        {
            throw new StateDecodeException($"the vmdescription has a name that is no valid text, or no object, where '{name}' may be: {e.Message}");
        }
    }
}
