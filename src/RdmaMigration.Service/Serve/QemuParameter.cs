using System.Globalization;
using System.Text.Json;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>A row of the table of QEMU's migration parameters.</summary>
/// <param name="Name">QEMU's name.</param>
/// <param name="Default">The default, as JSON.</param>
internal abstract record QemuParameter(string Name, string Default)
{
    /// <summary>QEMU's first major version that has it.</summary>
    public int Since { get; init; }

    /// <summary>QEMU's last major version that has it.</summary>
    public int Until { get; init; } = int.MaxValue;

    /// <summary>Checks a value.</summary>
    /// <returns>The value that is kept.</returns>
    /// <exception cref="QmpException">It has another type, or is out of range.</exception>
    public abstract JsonElement Check(JsonElement value);

    private protected QmpException WrongType(string expected) => new($"Invalid parameter type for '{Name}', expected: {expected}");

    private protected static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}

/// <summary>An integer.</summary>
internal sealed record IntegerParameter(string Name, ulong Initial, ulong Least, ulong Most)
    : QemuParameter(Name, Initial.ToString(CultureInfo.InvariantCulture))
{
    /// <summary>It must be a power of two.</summary>
    public bool IsPowerOfTwo { get; init; }

    public override JsonElement Check(JsonElement value)
    {
        if (value.ValueKind is not JsonValueKind.Number)
        {
            throw WrongType("integer");
        }

        // QEMU takes negative numbers for large ones.
        ulong number = value.TryGetUInt64(out ulong positive) ? positive
            : value.TryGetInt64(out long negative) ? (ulong)negative
            : throw new QmpException($"Parameter '{Name}' expects uint64");
        return number >= Least && number <= Most && (!IsPowerOfTwo || ulong.IsPow2(number))
            ? Json(number.ToString(CultureInfo.InvariantCulture))
            : throw new QmpException($"Option {Name} expects {(IsPowerOfTwo ? "a power of two" : "a value")} in the range of {Least} to {Most}");
    }
}

/// <summary>A boolean.</summary>
internal sealed record BooleanParameter(string Name) : QemuParameter(Name, "false")
{
    public override JsonElement Check(JsonElement value) =>
        value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.Clone() : throw WrongType("boolean");
}

/// <summary>One of a few words.</summary>
internal sealed record EnumParameter(string Name, string Initial, params string[] Values) : QemuParameter(Name, $"\"{Initial}\"")
{
    public override JsonElement Check(JsonElement value) => value.ValueKind is not JsonValueKind.String ? throw WrongType("string")
        : Values.Contains(value.GetString()) ? value.Clone()
        : throw new QmpException($"Parameter '{Name}' does not accept value '{value.GetString()}'");
}

/// <summary>A parameter of TLS, which a service does not have: it stays empty. Null stands for empty.</summary>
internal sealed record TlsParameter(string Name) : QemuParameter(Name, "\"\"")
{
    public override JsonElement Check(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => Json("\"\""),
        JsonValueKind.String when value.GetString()!.Length == 0 => value.Clone(),
        JsonValueKind.String => throw new QmpException($"Parameter '{Name}': rdmamig does not support TLS"),
        _ => throw WrongType("string or null"),
    };
}

/// <summary>A list of strings.</summary>
internal sealed record ListParameter(string Name) : QemuParameter(Name, "[]")
{
    public override JsonElement Check(JsonElement value) =>
        value.ValueKind is JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind is JsonValueKind.String)
            ? value.Clone()
            : throw WrongType("array");
}
