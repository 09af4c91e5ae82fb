using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>A member of an object.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its type.</param>
/// <param name="IsOptional">It may be absent.</param>
internal sealed record QmpMember(string Name, QmpType Type, bool IsOptional = false)
{
    /// <summary>A member that may be absent.</summary>
    public static QmpMember Optional(string name, QmpType type) => new(name, type, IsOptional: true);
}

/// <summary>An object. With <see cref="Tag"/>, one of its members decides which further members there are.</summary>
/// <param name="members">The members that it always has.</param>
internal sealed class QmpObject(params QmpMember[] members) : QmpType
{
    /// <summary>An object without members.</summary>
    public static QmpObject Empty { get; } = new();

    /// <summary>The members that it always has.</summary>
    public IReadOnlyList<QmpMember> Members => members;

    /// <summary>The member that decides; null for none.</summary>
    public string? Tag { get; init; }

    /// <summary>The further members for each value of the tag.</summary>
    public IReadOnlyList<(string Case, QmpObject Type)> Variants { get; init; } = [];

    /// <inheritdoc/>
    public override string Word => "object";

    /// <inheritdoc/>
    public override IReadOnlyList<JsonValueKind> Kinds { get; } = [JsonValueKind.Object];

    /// <summary>It can have a member of this name.</summary>
    public bool Declares(string name) => Array.Exists(members, member => member.Name == name) || Variants.Any(variant => variant.Type.Declares(name));

    /// <summary>Checks the arguments of a command.</summary>
    /// <param name="arguments">An object; null for none.</param>
    /// <exception cref="QmpException">One is missing, is unexpected, or has another type.</exception>
    public void CheckArguments(JsonElement? arguments)
    {
        if (arguments is { } value)
        {
            CheckAll(value, path: "");
        }
        else if (Array.Find(members, member => !member.IsOptional) is { } missing)
        {
            throw Missing(missing.Name);
        }
    }

    /// <inheritdoc/>
    public override void Check(JsonElement value, string path, string name)
    {
        base.Check(value, path, name);
        CheckAll(value, path + ".");
    }

    /// <inheritdoc/>
    public override void Describe(Utf8JsonWriter writer, Func<QmpType, string> nameOf)
    {
        if (Tag is { } tag)
        {
            writer.WriteString("tag", tag);
            writer.WriteStartArray("variants");
            foreach ((string value, QmpObject type) in Variants)
            {
                writer.WriteStartObject();
                writer.WriteString("case", value);
                writer.WriteString("type", nameOf(type));
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        writer.WriteStartArray("members");
        foreach (QmpMember member in members)
        {
            writer.WriteStartObject();
            writer.WriteString("name", member.Name);
            if (member.IsOptional)
            {
                writer.WriteNull("default");
            }

            writer.WriteString("type", nameOf(member.Type));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteString("meta-type", "object");
    }

    private void CheckAll(JsonElement value, string path)
    {
        HashSet<string> known = new(StringComparer.Ordinal);
        CheckMembers(value, path, known);
        foreach (JsonProperty member in value.EnumerateObject())
        {
            if (!known.Contains(member.Name))
            {
                throw new QmpException($"Parameter '{path}{member.Name}' is unexpected");
            }
        }
    }

    private void CheckMembers(JsonElement value, string path, HashSet<string> known)
    {
        foreach (QmpMember member in members)
        {
            known.Add(member.Name);
            if (value.TryGetProperty(member.Name, out JsonElement found))
            {
                member.Type.Check(found, path + member.Name, member.Name);
            }
            else if (!member.IsOptional)
            {
                throw Missing(path + member.Name);
            }
        }

        if (Tag is { } tag)
        {
            string? decides = value.GetProperty(tag).GetString();
            Variants.FirstOrDefault(variant => variant.Case == decides).Type?.CheckMembers(value, path, known);
        }
    }

    private static QmpException Missing(string path) => new($"Parameter '{path}' is missing");
}
