using System.Text.Json;

namespace RdmaMigration.Interop;

/// <summary>The value of query-qmp-schema, as one line for each member of each command and event. The numbers of types do not appear.</summary>
internal sealed class QmpShapes
{
    private readonly Dictionary<string, JsonElement> _entries;

    public QmpShapes(JsonElement schema) =>
        _entries = schema.EnumerateArray().ToDictionary(entry => entry.GetProperty("name").GetString()!, StringComparer.Ordinal);

    /// <summary>The commands.</summary>
    public IEnumerable<string> Commands => _entries.Where(entry => MetaType(entry.Value) == "command").Select(entry => entry.Key);

    /// <summary>The events.</summary>
    public IEnumerable<string> Events => _entries.Where(entry => MetaType(entry.Value) == "event").Select(entry => entry.Key);

    /// <summary>Each member that arguments of a command or data of an event may have, with its type.</summary>
    public IReadOnlySet<string> Arguments(string name) => Members(name, "arg-type");

    /// <summary>Each member that the reply to a command may have, with its type.</summary>
    public IReadOnlySet<string> Replies(string name) => Members(name, "ret-type");

    /// <summary>The command may run out of band.</summary>
    public bool AllowsOob(string name) => _entries[name].TryGetProperty("allow-oob", out JsonElement allows) && allows.GetBoolean();

    /// <summary>What of a reply or of an event's data its type does not have; empty when the value has the type.</summary>
    public IEnumerable<string> Violations(string name, JsonElement value, string end = "ret-type") =>
        Violations(_entries[Text(_entries[name], end)], value, name);

    private IEnumerable<string> Violations(JsonElement type, JsonElement value, string path)
    {
        switch (MetaType(type))
        {
            case "builtin":
                return (Text(type, "json-type"), JsonType(value)) is ("value", _) or ("number", "int") || Text(type, "json-type") == JsonType(value)
                    ? []
                    : [$"{path} is {value.ValueKind}"];
            case "enum":
                return Values(type).Contains(value.ToString()) ? [] : [$"{path} is {value}"];
            case "array":
                return value.EnumerateArray().SelectMany((item, i) => Violations(Entry(type, "element-type"), item, $"{path}[{i}]"));
            case "alternate":
                return type.GetProperty("members").EnumerateArray().Any(choice => !Violations(Entry(choice, "type"), value, path).Any()) ? [] : [path];
            default:
                List<string> found = [];
                HashSet<string> known = [];
                CheckMembers(type, value, path, known, found);
                found.AddRange(value.EnumerateObject().Where(member => !known.Contains(member.Name)).Select(member => $"{path}.{member.Name} is undeclared"));
                return found;
        }
    }

    private void CheckMembers(JsonElement type, JsonElement value, string path, HashSet<string> known, List<string> found)
    {
        foreach (JsonElement member in type.GetProperty("members").EnumerateArray())
        {
            string name = Text(member, "name");
            known.Add(name);
            if (value.TryGetProperty(name, out JsonElement there))
            {
                found.AddRange(Violations(Entry(member, "type"), there, $"{path}.{name}"));
            }
            else if (!member.TryGetProperty("default", out _))
            {
                found.Add($"{path}.{name} is missing");
            }
        }

        if (type.TryGetProperty("tag", out JsonElement tag))
        {
            string decides = value.GetProperty(tag.GetString()!).GetString()!;
            JsonElement variant = type.GetProperty("variants").EnumerateArray().First(variant => Text(variant, "case") == decides);
            CheckMembers(Entry(variant, "type"), value, path, known, found);
        }
    }

    private HashSet<string> Members(string name, string end)
    {
        HashSet<string> lines = [];
        Add(lines, "", _entries[Text(_entries[name], end)], isOptional: false, depth: 0);
        return lines;
    }

    private void Add(HashSet<string> lines, string path, JsonElement type, bool isOptional, int depth)
    {
        // Types may contain themselves.
        if (depth > 8)
        {
            return;
        }

        string optional = isOptional ? "?" : "";
        switch (MetaType(type))
        {
            case "builtin":
                lines.Add($"{path}{optional}: {Text(type, "json-type")}");
                break;
            case "enum":
                lines.UnionWith(Values(type).Select(value => $"{path}{optional}: '{value}'"));
                break;
            case "array":
                Add(lines, $"{path}{optional}[]", Entry(type, "element-type"), isOptional: false, depth + 1);
                break;
            case "alternate":
                foreach (JsonElement choice in type.GetProperty("members").EnumerateArray())
                {
                    Add(lines, path, Entry(choice, "type"), isOptional, depth + 1);
                }

                break;
            default:
                foreach (JsonElement member in type.GetProperty("members").EnumerateArray())
                {
                    Add(lines, $"{path}{optional}.{Text(member, "name")}", Entry(member, "type"), member.TryGetProperty("default", out _), depth + 1);
                }

                if (type.TryGetProperty("variants", out JsonElement variants))
                {
                    foreach (JsonElement variant in variants.EnumerateArray())
                    {
                        Add(lines, $"{path}{optional}({Text(variant, "case")})", Entry(variant, "type"), isOptional: false, depth + 1);
                    }
                }

                break;
        }
    }

    private JsonElement Entry(JsonElement from, string member) => _entries[Text(from, member)];

    private static IEnumerable<string> Values(JsonElement type) => type.GetProperty("members").EnumerateArray().Select(value => Text(value, "name"));

    private static string MetaType(JsonElement entry) => Text(entry, "meta-type");

    private static string Text(JsonElement entry, string member) => entry.GetProperty(member).ToString();

    private static string JsonType(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "string",
        JsonValueKind.Number => value.TryGetInt64(out _) || value.TryGetUInt64(out _) ? "int" : "number",
        JsonValueKind.True or JsonValueKind.False => "boolean",
        _ => "null",
    };
}
