using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>
/// The arguments of a command, or an object within them, with QEMU's errors (qapi/qobject-input-visitor.c). A command reads every argument that it knows, then
/// calls <see cref="End"/>, and only then acts.
/// </summary>
internal sealed class QmpArguments
{
    private readonly JsonElement? _members;
    private readonly string _path;
    private readonly HashSet<string> _read = [];
    private readonly List<QmpArguments> _nested = [];

    /// <param name="members">A JSON object; null for none.</param>
    public QmpArguments(JsonElement? members)
        : this(members, path: "")
    {
    }

    private QmpArguments(JsonElement? members, string path)
    {
        _members = members;
        _path = path;
    }

    /// <summary><see cref="End"/> was called.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>A string.</summary>
    public string RequiredString(string name) => OptionalString(name) ?? throw Missing(name);

    /// <summary>A string; null when it is absent.</summary>
    public string? OptionalString(string name) => Read(name, "string", JsonValueKind.String)?.GetString();

    /// <summary>A boolean.</summary>
    public bool RequiredBoolean(string name) => OptionalBoolean(name) ?? throw Missing(name);

    /// <summary>A boolean; null when it is absent.</summary>
    public bool? OptionalBoolean(string name) => Read(name, "boolean", JsonValueKind.True, JsonValueKind.False)?.GetBoolean();

    /// <summary>An integer.</summary>
    public long RequiredInteger(string name) => OptionalInteger(name) ?? throw Missing(name);

    /// <summary>An integer; null when it is absent.</summary>
    public long? OptionalInteger(string name)
    {
        if (Read(name, "integer", JsonValueKind.Number) is not { } number)
        {
            return null;
        }

        return number.TryGetInt64(out long value) ? value : throw WrongType(name, "integer");
    }

    /// <summary>An object.</summary>
    public QmpArguments RequiredObject(string name) => OptionalObject(name) ?? throw Missing(name);

    /// <summary>An object; null when it is absent.</summary>
    public QmpArguments? OptionalObject(string name) =>
        Read(name, "object", JsonValueKind.Object) is { } members ? Nest(members, _path + name) : null;

    /// <summary>An array of strings.</summary>
    public IReadOnlyList<string> RequiredStrings(string name) => OptionalStrings(name) ?? throw Missing(name);

    /// <summary>An array of strings; null when it is absent.</summary>
    public IReadOnlyList<string>? OptionalStrings(string name) =>
        Read(name, "array", JsonValueKind.Array) is { } array
            ? [.. array.EnumerateArray().Select((element, i) => Expect(element, $"{name}[{i}]", "string", JsonValueKind.String).GetString()!)]
            : null;

    /// <summary>An array of objects.</summary>
    public IReadOnlyList<QmpArguments> RequiredObjects(string name) => OptionalObjects(name) ?? throw Missing(name);

    /// <summary>An array of objects; null when it is absent.</summary>
    public IReadOnlyList<QmpArguments>? OptionalObjects(string name) =>
        Read(name, "array", JsonValueKind.Array) is { } array
            ? [.. array.EnumerateArray().Select((element, i) =>
                Nest(Expect(element, $"{name}[{i}]", "object", JsonValueKind.Object), $"{_path}{name}[{i}]"))]
            : null;

    /// <summary>A value of any type, for a command that has types of its own; null when it is absent.</summary>
    public JsonElement? OptionalValue(string name)
    {
        _read.Add(name);
        return _members is { } members && members.TryGetProperty(name, out JsonElement value) ? value : null;
    }

    /// <summary>All arguments as the client sent them, for a command that another process checks; null for none. It stands for <see cref="End"/>.</summary>
    public JsonElement? TakeUnchecked()
    {
        HasEnded = true;
        return _members;
    }

    /// <summary>The error for a value of another type than the expected one.</summary>
    public QmpException WrongType(string name, string expected) => new($"Invalid parameter type for '{_path}{name}', expected: {expected}");

    /// <summary>Refuses arguments that the command has not read, nested ones too.</summary>
    /// <exception cref="QmpException">There is one.</exception>
    public void End()
    {
        HasEnded = true;
        _nested.ForEach(static nested => nested.End());
        if (_members is { } members)
        {
            foreach (JsonProperty member in members.EnumerateObject())
            {
                if (!_read.Contains(member.Name))
                {
                    throw new QmpException($"Parameter '{_path}{member.Name}' is unexpected");
                }
            }
        }
    }

    private QmpException Missing(string name) => new($"Parameter '{_path}{name}' is missing");

    private JsonElement? Read(string name, string expected, params ReadOnlySpan<JsonValueKind> kinds) =>
        OptionalValue(name) is { } value ? Expect(value, name, expected, kinds) : null;

    private JsonElement Expect(JsonElement value, string name, string expected, params ReadOnlySpan<JsonValueKind> kinds) =>
        kinds.Contains(value.ValueKind) ? value : throw WrongType(name, expected);

    private QmpArguments Nest(JsonElement members, string path)
    {
        QmpArguments nested = new(members, path + ".");
        _nested.Add(nested);
        return nested;
    }
}
