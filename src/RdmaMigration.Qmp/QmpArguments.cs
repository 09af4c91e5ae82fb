using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>
/// The arguments of a command, or an object within them. They have been checked by the command's declaration. A command reads every argument that it declares,
/// then calls <see cref="End"/>, and only then acts.
/// </summary>
internal sealed class QmpArguments
{
    private readonly JsonElement? _members;
    private readonly QmpObject? _type;
    private readonly string _path;
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    /// <summary>Checks the arguments of a command.</summary>
    /// <param name="members">A JSON object; null for none.</param>
    /// <param name="type">The declaration; null when another process checks them.</param>
    /// <exception cref="QmpException">One is missing, is unexpected, or has another type.</exception>
    public QmpArguments(JsonElement? members, QmpObject? type)
    {
        type?.CheckArguments(members);
        _members = members;
        _type = type;
        _path = "";
    }

    private QmpArguments(JsonElement members, string path)
    {
        _members = members;
        _path = path;
    }

    /// <summary><see cref="End"/> was called.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>A string.</summary>
    public string RequiredString(string name) => Required(name).GetString()!;

    /// <summary>A string; null when it is absent.</summary>
    public string? OptionalString(string name) => OptionalValue(name)?.GetString();

    /// <summary>A boolean.</summary>
    public bool RequiredBoolean(string name) => Required(name).GetBoolean();

    /// <summary>A boolean; null when it is absent.</summary>
    public bool? OptionalBoolean(string name) => OptionalValue(name)?.GetBoolean();

    /// <summary>An integer.</summary>
    /// <exception cref="QmpException">It has a fraction, or more than 64 bits.</exception>
    public long RequiredInteger(string name) => Integer(Required(name), name);

    /// <summary>An integer; null when it is absent.</summary>
    /// <exception cref="QmpException">It has a fraction, or more than 64 bits.</exception>
    public long? OptionalInteger(string name) => OptionalValue(name) is { } value ? Integer(value, name) : null;

    /// <summary>An object.</summary>
    public QmpArguments RequiredObject(string name) => new(Required(name), $"{_path}{name}.");

    /// <summary>An object; null when it is absent.</summary>
    public QmpArguments? OptionalObject(string name) => OptionalValue(name) is { } value ? new QmpArguments(value, $"{_path}{name}.") : null;

    /// <summary>An array of strings.</summary>
    public IReadOnlyList<string> RequiredStrings(string name) => [.. Required(name).EnumerateArray().Select(item => item.GetString()!)];

    /// <summary>An array of strings; null when it is absent.</summary>
    public IReadOnlyList<string>? OptionalStrings(string name) =>
        OptionalValue(name) is { } array ? [.. array.EnumerateArray().Select(item => item.GetString()!)] : null;

    /// <summary>An array of objects.</summary>
    public IReadOnlyList<QmpArguments> RequiredObjects(string name) => Objects(Required(name), name);

    /// <summary>An array of objects; null when it is absent.</summary>
    public IReadOnlyList<QmpArguments>? OptionalObjects(string name) => OptionalValue(name) is { } array ? Objects(array, name) : null;

    /// <summary>A value as it came; null when it is absent.</summary>
    /// <exception cref="InvalidOperationException">The command does not declare it, which is a defect.</exception>
    public JsonElement? OptionalValue(string name)
    {
        if (_type is { } type && !type.Declares(name))
        {
            throw new InvalidOperationException($"the command reads '{name}', which it does not declare");
        }

        _read.Add(name);
        return _members is { } members && members.TryGetProperty(name, out JsonElement value) ? value : null;
    }

    /// <summary>All arguments as the client sent them, for a command that another process checks; null for none. It stands for <see cref="End"/>.</summary>
    /// <exception cref="InvalidOperationException">The command declares its arguments, which is a defect.</exception>
    public JsonElement? TakeUnchecked()
    {
        HasEnded = true;
        return _type is null ? _members : throw new InvalidOperationException("the command declares its arguments and does not read them");
    }

    /// <summary>The command has read all that it declares.</summary>
    /// <exception cref="InvalidOperationException">It has not, which is a defect.</exception>
    public void End()
    {
        HasEnded = true;
        if (_type?.Members.FirstOrDefault(member => !_read.Contains(member.Name)) is { } unread)
        {
            throw new InvalidOperationException($"the command declares '{unread.Name}' and does not read it");
        }
    }

    private JsonElement Required(string name) =>
        OptionalValue(name) ?? throw new InvalidOperationException($"the command requires '{name}', which its declaration does not");

    private long Integer(JsonElement value, string name) =>
        value.TryGetInt64(out long number) ? number : throw new QmpException($"Invalid parameter type for '{_path}{name}', expected: integer");

    private QmpArguments[] Objects(JsonElement array, string name) =>
        [.. array.EnumerateArray().Select((item, i) => new QmpArguments(item, $"{_path}{name}[{i}]."))];
}
