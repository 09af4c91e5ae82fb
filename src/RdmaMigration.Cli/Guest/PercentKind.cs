using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Guest;

/// <summary>A share in percent, from 1 to 100. The sign may be left out.</summary>
internal sealed class PercentKind : ParameterKind<int>
{
    public override string ValueName => "PERCENT";

    public override string Range => "1% to 100%";

    public override bool TryParse(string text, out int value, [NotNullWhen(false)] out string? error)
    {
        string number = text.EndsWith('%') ? text[..^1] : text;
        error = int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out value) ? null : $"'{text}' is not a share in percent: {Range}";
        return error is null;
    }

    public override string? Check(int value) => value is >= 1 and <= 100 ? null : $"the range is {Range}";

    public override string Format(int value) => string.Create(CultureInfo.InvariantCulture, $"{value}%");

    public override void Write(Utf8JsonWriter writer, int value) => writer.WriteNumberValue(value);
}
