using System.Text.Json;
using System.Text.Unicode;

namespace RdmaMigration.Qmp;

/// <summary>One request of a client, or the error that is answered in its place.</summary>
internal sealed class QmpRequest : IDisposable
{
    private const string Execute = "execute";
    private const string ExecuteOutOfBand = "exec-oob";

    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = QmpFramer.MaximumNesting, AllowDuplicateProperties = false };

    private readonly JsonDocument? _document;
    private readonly string? _error;

    private QmpRequest(JsonDocument? document, string? error)
    {
        _document = document;
        _error = error;
        if (document is { RootElement: { ValueKind: JsonValueKind.Object } root })
        {
            Id = root.TryGetProperty("id", out JsonElement id) ? id : null;
            IsOutOfBand = root.TryGetProperty(ExecuteOutOfBand, out _) && !root.TryGetProperty(Execute, out _);
        }
    }

    /// <summary>The value that the reply repeats; null when the request has none, or could not be parsed.</summary>
    public JsonElement? Id { get; }

    /// <summary>The client asks to run the command out of band.</summary>
    public bool IsOutOfBand { get; }

    /// <summary>Parses a text. It never throws: <see cref="Read"/> does.</summary>
    public static QmpRequest Parse(QmpText text)
    {
        if (text.Json is not { } json)
        {
            return new QmpRequest(document: null, text.Error);
        }

        try
        {
            CheckStrings(json);
            return new QmpRequest(JsonDocument.Parse(json, s_options), error: null);
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            return new QmpRequest(document: null, $"JSON parse error, {malformed.Message}");
        }
    }

    /// <summary>Checks the members, in the words of QEMU's qmp_dispatch_check_obj.</summary>
    /// <param name="isOobEnabled">The session has out-of-band execution enabled.</param>
    /// <returns>The command's name, and its arguments if there are any.</returns>
    /// <exception cref="QmpException">It is not a valid request.</exception>
    public (string Name, JsonElement? Arguments) Read(bool isOobEnabled)
    {
        if (_document is null)
        {
            throw new QmpException(_error!);
        }

        if (_document.RootElement.ValueKind is not JsonValueKind.Object)
        {
            throw new QmpException("QMP input must be a JSON object");
        }

        JsonProperty? command = null;
        JsonElement? arguments = null;
        foreach (JsonProperty member in _document.RootElement.EnumerateObject())
        {
            switch (member.Name)
            {
                case Execute:
                case ExecuteOutOfBand when isOobEnabled:
                    Check(member, JsonValueKind.String, "a string");
                    command = command is { Name: { } other }
                        ? throw new QmpException($"QMP input member '{member.Name}' clashes with '{other}'")
                        : member;
                    break;
                case "arguments":
                    Check(member, JsonValueKind.Object, "an object");
                    arguments = member.Value;
                    break;
                case "id":
                    break;
                default:
                    throw new QmpException($"QMP input member '{member.Name}' is unexpected");
            }
        }

        return command is { Value: JsonElement name }
            ? (name.GetString()!, arguments)
            : throw new QmpException($"QMP input lacks member '{Execute}'");
    }

    /// <inheritdoc/>
    public void Dispose() => _document?.Dispose();

    private static void Check(JsonProperty member, JsonValueKind kind, string description)
    {
        if (member.Value.ValueKind != kind)
        {
            throw new QmpException($"QMP input member '{member.Name}' must be {description}");
        }
    }

    /// <summary>JsonDocument accepts invalid UTF-8 and lone surrogates, and throws when such a string is used.</summary>
    private static void CheckStrings(byte[] json)
    {
        if (!Utf8.IsValid(json))
        {
            throw new JsonException("invalid UTF-8 sequence");
        }

        Utf8JsonReader reader = new(json, new JsonReaderOptions { MaxDepth = QmpFramer.MaximumNesting });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
            {
                reader.GetString();
            }
        }
    }
}
