using System.Globalization;
using System.Text.Json;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>A row of the table of QEMU's migration parameters.</summary>
/// <param name="Name">QEMU's name.</param>
/// <param name="Default">The default, as JSON.</param>
internal abstract record QemuParameter(string Name, string Default)
{
    /// <summary>The default.</summary>
    public JsonElement Initial => Json(Default);

    /// <summary>QEMU's first major version that has it.</summary>
    public int Since { get; init; }

    /// <summary>QEMU's last major version that has it.</summary>
    public int Until { get; init; } = int.MaxValue;

    /// <summary>The type of its value.</summary>
    public abstract QmpType Type { get; }

    /// <summary>The type of a value that it can be set to.</summary>
    public virtual QmpType SettingType => Type;

    /// <summary>Checks a value of the type.</summary>
    /// <returns>The value that is kept.</returns>
    /// <exception cref="QmpException">It is out of range.</exception>
    public virtual JsonElement Check(JsonElement value) => value.Clone();

    private protected static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}

/// <summary>An integer.</summary>
internal sealed record IntegerParameter(string Name, ulong First, ulong Least, ulong Most)
    : QemuParameter(Name, First.ToString(CultureInfo.InvariantCulture))
{
    /// <summary>It must be a power of two.</summary>
    public bool IsPowerOfTwo { get; init; }

    /// <inheritdoc/>
    public override QmpType Type => QmpType.Unsigned;

    /// <inheritdoc/>
    public override JsonElement Check(JsonElement value)
    {
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
internal sealed record BooleanParameter(string Name, bool First = false) : QemuParameter(Name, First ? "true" : "false")
{
    /// <inheritdoc/>
    public override QmpType Type => QmpType.Boolean;
}

/// <summary>One of a few words.</summary>
internal sealed record EnumParameter(string Name, string First, params string[] Values) : QemuParameter(Name, $"\"{First}\"")
{
    /// <inheritdoc/>
    public override QmpType Type { get; } = new QmpEnum(Values);
}

/// <summary>A string. Null stands for an empty one.</summary>
internal sealed record TextParameter(string Name) : QemuParameter(Name, "\"\"")
{
    private static readonly QmpAlternate s_stringOrNull = new(QmpType.String, QmpType.Null);

    /// <inheritdoc/>
    public override QmpType Type => QmpType.String;

    /// <inheritdoc/>
    public override QmpType SettingType => s_stringOrNull;

    /// <inheritdoc/>
    public override JsonElement Check(JsonElement value) => value.ValueKind is JsonValueKind.Null ? Json("\"\"") : value.Clone();
}

/// <summary>A list of strings.</summary>
internal sealed record ListParameter(string Name) : QemuParameter(Name, "[]")
{
    private static readonly QmpArray s_strings = new(QmpType.String);

    /// <inheritdoc/>
    public override QmpType Type => s_strings;
}
