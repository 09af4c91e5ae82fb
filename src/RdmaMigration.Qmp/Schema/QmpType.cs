using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>
/// A type of arguments, replies or events, as query-qmp-schema describes it. Arguments are checked by it before their command runs, with QEMU's errors
/// (qapi/qobject-input-visitor.c). A type is the same as another only if it is the same object. It does not change.
/// </summary>
internal abstract class QmpType
{
    /// <summary>A string.</summary>
    public static QmpType String { get; } = new QmpBuiltin("str", "string", "string", JsonValueKind.String);

    /// <summary>An integer.</summary>
    public static QmpType Integer { get; } = new QmpBuiltin("int", "int", "integer", JsonValueKind.Number);

    /// <summary>An integer that QEMU keeps in 64 bits without a sign. It takes negative numbers for large ones.</summary>
    public static QmpType Unsigned { get; } = new QmpUnsigned();

    /// <summary>A number.</summary>
    public static QmpType Number { get; } = new QmpBuiltin("number", "number", "number", JsonValueKind.Number);

    /// <summary>A boolean.</summary>
    public static QmpType Boolean { get; } = new QmpBuiltin("bool", "boolean", "boolean", JsonValueKind.True, JsonValueKind.False);

    /// <summary>null.</summary>
    public static QmpType Null { get; } = new QmpBuiltin("null", "null", "null", JsonValueKind.Null);

    /// <summary>A value of any type.</summary>
    public static QmpType Any { get; } = new QmpBuiltin("any", "value", "value", Enum.GetValues<JsonValueKind>());

    /// <summary>The word for it in errors.</summary>
    public abstract string Word { get; }

    /// <summary>The kinds of JSON values that it accepts.</summary>
    public abstract IReadOnlyList<JsonValueKind> Kinds { get; }

    /// <summary>Checks a value.</summary>
    /// <param name="value">The value.</param>
    /// <param name="path">Its place in the arguments.</param>
    /// <param name="name">The last part of the place.</param>
    /// <exception cref="QmpException">It has another type, or a member of it has.</exception>
    public virtual void Check(JsonElement value, string path, string name)
    {
        if (!Kinds.Contains(value.ValueKind))
        {
            throw new QmpException($"Invalid parameter type for '{path}', expected: {Word}");
        }
    }

    /// <summary>Writes the members of its entry in query-qmp-schema, without the name.</summary>
    /// <param name="writer">Takes them.</param>
    /// <param name="nameOf">The name of another type in the schema.</param>
    public abstract void Describe(Utf8JsonWriter writer, Func<QmpType, string> nameOf);
}

/// <summary>A type without parts.</summary>
/// <param name="name">Its name in the schema.</param>
/// <param name="jsonType">The JSON type in the schema.</param>
/// <param name="word">The word in errors.</param>
/// <param name="kinds">The JSON values.</param>
internal class QmpBuiltin(string name, string jsonType, string word, params JsonValueKind[] kinds) : QmpType
{
    /// <summary>Its name in the schema.</summary>
    public string Name => name;

    /// <inheritdoc/>
    public sealed override string Word => word;

    /// <inheritdoc/>
    public sealed override IReadOnlyList<JsonValueKind> Kinds => kinds;

    /// <inheritdoc/>
    public sealed override void Describe(Utf8JsonWriter writer, Func<QmpType, string> nameOf)
    {
        writer.WriteString("json-type", jsonType);
        writer.WriteString("meta-type", "builtin");
    }
}

/// <summary>An integer of 64 bits without a sign. The schema does not tell it from another one; errors do.</summary>
internal sealed class QmpUnsigned() : QmpBuiltin("int", "int", "uint64", JsonValueKind.Number)
{
    /// <inheritdoc/>
    public override void Check(JsonElement value, string path, string name)
    {
        if (value.ValueKind is not JsonValueKind.Number || (!value.TryGetUInt64(out _) && !value.TryGetInt64(out _)))
        {
            throw new QmpException($"Parameter '{path}' expects {Word}");
        }
    }
}

/// <summary>One of some words.</summary>
/// <param name="values">The words.</param>
internal sealed class QmpEnum(params string[] values) : QmpType
{
    /// <inheritdoc/>
    public override string Word => "string";

    /// <inheritdoc/>
    public override IReadOnlyList<JsonValueKind> Kinds { get; } = [JsonValueKind.String];

    /// <inheritdoc/>
    public override void Check(JsonElement value, string path, string name)
    {
        base.Check(value, path, name);
        if (!values.Contains(value.GetString()))
        {
            throw new QmpException($"Parameter '{name}' does not accept value '{value.GetString()}'");
        }
    }

    /// <inheritdoc/>
    public override void Describe(Utf8JsonWriter writer, Func<QmpType, string> nameOf)
    {
        writer.WriteStartArray("members");
        foreach (string value in values)
        {
            writer.WriteStartObject();
            writer.WriteString("name", value);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteString("meta-type", "enum");

        // Clients of before QEMU 6.2 read these.
        writer.WriteStartArray("values");
        foreach (string value in values)
        {
            writer.WriteStringValue(value);
        }

        writer.WriteEndArray();
    }
}

/// <summary>An array.</summary>
/// <param name="element">The type of each element.</param>
internal sealed class QmpArray(QmpType element) : QmpType
{
    /// <summary>The type of each element.</summary>
    public QmpType Element => element;

    /// <inheritdoc/>
    public override string Word => "array";

    /// <inheritdoc/>
    public override IReadOnlyList<JsonValueKind> Kinds { get; } = [JsonValueKind.Array];

    /// <inheritdoc/>
    public override void Check(JsonElement value, string path, string name)
    {
        base.Check(value, path, name);
        int i = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            element.Check(item, $"{path}[{i}]", name);
            i++;
        }
    }

    /// <inheritdoc/>
    public override void Describe(Utf8JsonWriter writer, Func<QmpType, string> nameOf)
    {
        writer.WriteString("element-type", nameOf(element));
        writer.WriteString("meta-type", "array");
    }
}

/// <summary>A value of one of some types, which differ in their JSON type.</summary>
/// <param name="choices">The types.</param>
internal sealed class QmpAlternate(params QmpType[] choices) : QmpType
{
    /// <inheritdoc/>
    public override string Word { get; } = string.Join(" or ", choices.Select(choice => choice.Word));

    /// <inheritdoc/>
    public override IReadOnlyList<JsonValueKind> Kinds { get; } = [.. choices.SelectMany(choice => choice.Kinds)];

    /// <inheritdoc/>
    public override void Check(JsonElement value, string path, string name)
    {
        base.Check(value, path, name);
        choices.First(choice => choice.Kinds.Contains(value.ValueKind)).Check(value, path, name);
    }

    /// <inheritdoc/>
    public override void Describe(Utf8JsonWriter writer, Func<QmpType, string> nameOf)
    {
        writer.WriteStartArray("members");
        foreach (QmpType choice in choices)
        {
            writer.WriteStartObject();
            writer.WriteString("type", nameOf(choice));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteString("meta-type", "alternate");
    }
}
