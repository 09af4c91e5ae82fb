using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Numerics;
using System.Text.Json;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>The values that a parameter takes, and how people and QMP write them.</summary>
/// <typeparam name="T">The type of a value.</typeparam>
internal abstract class ParameterKind<T>
{
    /// <summary>Stands for the value in help; null for a switch.</summary>
    public virtual string? ValueName => null;

    /// <summary>The values that are allowed, in words.</summary>
    public abstract string Range { get; }

    /// <summary>The least and the most value, where these two are the whole range.</summary>
    public virtual (T Least, T Most)? Bounds => null;

    /// <summary>A person may give several values, which <see cref="Join"/> makes one of.</summary>
    public virtual bool TakesMany => false;

    /// <summary>Reads what a person wrote. False with what is wrong.</summary>
    public abstract bool TryParse(string text, [MaybeNullWhen(false)] out T value, [NotNullWhen(false)] out string? error);

    /// <summary>The bound that the value breaks, in words; null when it breaks none.</summary>
    public virtual string? Check(T value) => null;

    /// <summary>The value as a person writes it.</summary>
    public abstract string Format(T value);

    /// <summary>Writes the value in the form that QMP uses.</summary>
    public abstract void Write(Utf8JsonWriter writer, T value);

    /// <summary>Makes one value of two.</summary>
    public virtual T Join(T first, T second) => throw new NotSupportedException("only one value is taken");
}

/// <summary>On or off.</summary>
internal sealed class SwitchKind : ParameterKind<bool>
{
    public override string Range => "on or off";

    public override bool TryParse(string text, out bool value, [NotNullWhen(false)] out string? error)
    {
        value = text == "on";
        error = text is "on" or "off" ? null : $"'{text}' is not 'on' or 'off'";
        return error is null;
    }

    public override string Format(bool value) => value ? "on" : "off";

    public override void Write(Utf8JsonWriter writer, bool value) => writer.WriteBooleanValue(value);
}

/// <summary>One of a few words: an enum's names in small letters.</summary>
internal sealed class ChoiceKind<T> : ParameterKind<T>
    where T : struct, Enum
{
    private static readonly T[] s_values = Enum.GetValues<T>();

    public override string ValueName { get; } = string.Join('|', s_values.Select(Word));

    public override string Range => ValueName;

    public override bool TryParse(string text, out T value, [NotNullWhen(false)] out string? error)
    {
        int index = Array.FindIndex(s_values, candidate => Word(candidate) == text);
        value = index < 0 ? default : s_values[index];
        error = index < 0 ? $"'{text}' is not one of {ValueName}" : null;
        return error is null;
    }

    public override string Format(T value) => Word(value);

    public override void Write(Utf8JsonWriter writer, T value) => writer.WriteStringValue(Word(value));

    private static string Word(T value) => value.ToString().ToLowerInvariant();
}

/// <summary>A number of bytes. People write it with a binary unit.</summary>
/// <param name="least">The least.</param>
/// <param name="multipleOf">What it must be a multiple of.</param>
/// <param name="most">The most.</param>
/// <param name="isPowerOfTwo">It must be a power of two.</param>
internal sealed class SizeKind(ulong least, ulong multipleOf = 1, ulong most = ulong.MaxValue, bool isPowerOfTwo = false) : ParameterKind<ulong>
{
    public override string ValueName => "SIZE";

    public override string Range => $"{ByteSize.Format(least)} or more"
        + (most < ulong.MaxValue ? $", at most {ByteSize.Format(most)}" : "")
        + (multipleOf > 1 ? $", a multiple of {ByteSize.Format(multipleOf)}" : "")
        + (isPowerOfTwo ? ", a power of two" : "");

    public override bool TryParse(string text, out ulong value, [NotNullWhen(false)] out string? error)
    {
        if (!ByteSize.TryParse(text, out value, out error))
        {
            return false;
        }

        // Nobody means 16 bytes by --max-ram 16; QEMU's -m would have taken MiB.
        error = value < least && text.All(char.IsAsciiDigit) ? $"'{text}' is {text} bytes: the unit is missing, such as {text}M or {text}G" : null;
        return error is null;
    }

    public override string? Check(ulong value) => value < least ? $"the least is {ByteSize.Format(least)}"
        : value > most ? $"the most is {ByteSize.Format(most)}"
        : value % multipleOf != 0 ? $"it must be a multiple of {ByteSize.Format(multipleOf)}"
        : isPowerOfTwo && !BitOperations.IsPow2(value) ? "it must be a power of two"
        : null;

    public override string Format(ulong value) => ByteSize.Format(value);

    public override void Write(Utf8JsonWriter writer, ulong value) => writer.WriteNumberValue(value);
}

/// <summary>A time. People and QMP write it in seconds.</summary>
/// <param name="zero">What zero means, where it is allowed.</param>
internal sealed class DurationKind(string? zero = null) : ParameterKind<TimeSpan>
{
    /// <summary>Milliseconds of a day fit every time-out of the kernel's; more is a slip of the keyboard.</summary>
    private static readonly TimeSpan s_most = TimeSpan.FromDays(1);

    private static readonly TimeSpan s_least = TimeSpan.FromMilliseconds(1);

    public override string ValueName => "SECONDS";

    public override string Range => (zero is null ? "" : $"0 ({zero}), ") + $"{Seconds(s_least)} to {Seconds(s_most)} s";

    public override bool TryParse(string text, out TimeSpan value, [NotNullWhen(false)] out string? error)
    {
        bool isNumber = decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal seconds);
        error = isNumber ? null : $"'{text}' is not a number of seconds: {Range}";

        // Far beyond the range: what is out of range shall be named so, not overflow.
        value = TimeSpan.FromMilliseconds((long)(Math.Min(seconds, 1_000_000_000) * 1000));
        return error is null;
    }

    public override string? Check(TimeSpan value) =>
        (value >= s_least && value <= s_most) || (value == TimeSpan.Zero && zero is not null) ? null : $"the range is {Range}";

    public override string Format(TimeSpan value) => $"{Seconds(value)} s";

    public override void Write(Utf8JsonWriter writer, TimeSpan value) => writer.WriteNumberValue((decimal)value.TotalMilliseconds / 1000);

    private static string Seconds(TimeSpan value) => value.TotalSeconds.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A short time. People and QMP write it in milliseconds, as QEMU does.</summary>
internal sealed class MillisecondsKind : ParameterKind<TimeSpan>
{
    /// <summary>QEMU's bound: 2000 s.</summary>
    private static readonly TimeSpan s_most = TimeSpan.FromSeconds(2000);

    public override string ValueName => "MILLISECONDS";

    public override string Range => $"{Format(TimeSpan.Zero)} to {Format(s_most)}";

    public override (TimeSpan Least, TimeSpan Most)? Bounds => (TimeSpan.Zero, s_most);

    public override bool TryParse(string text, out TimeSpan value, [NotNullWhen(false)] out string? error)
    {
        error = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? null
            : $"'{text}' is not a number of milliseconds: {Range}";
        value = TimeSpan.FromMilliseconds(number);
        return error is null;
    }

    public override string? Check(TimeSpan value) => value >= TimeSpan.Zero && value <= s_most ? null : $"the range is {Range}";

    public override string Format(TimeSpan value) => string.Create(CultureInfo.InvariantCulture, $"{value.TotalMilliseconds} ms");

    public override void Write(Utf8JsonWriter writer, TimeSpan value) => writer.WriteNumberValue(value.TotalMilliseconds);
}

/// <summary>How long a wait polls before its thread sleeps. Programs alone set it.</summary>
internal sealed class SpinKind : ParameterKind<TimeSpan>
{
    public override string ValueName => "MICROSECONDS";

    public override string Range => "0 (sleep at once) or more, or infinite";

    public override bool TryParse(string text, out TimeSpan value, [NotNullWhen(false)] out string? error)
    {
        error = double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
            ? null
            : $"'{text}' is not a number of microseconds";
        value = TimeSpan.FromMicroseconds(error is null ? Math.Min(number, 1e12) : 0);
        return error is null;
    }

    public override string? Check(TimeSpan value) => value >= TimeSpan.Zero || value == Timeout.InfiniteTimeSpan ? null : $"the range is {Range}";

    public override string Format(TimeSpan value) =>
        value == Timeout.InfiniteTimeSpan ? "infinite" : string.Create(CultureInfo.InvariantCulture, $"{value.TotalMicroseconds} µs");

    public override void Write(Utf8JsonWriter writer, TimeSpan value) => writer.WriteNumberValue(value.TotalMicroseconds);
}

/// <summary>A number.</summary>
/// <param name="least">The least.</param>
/// <param name="most">The most.</param>
internal sealed class CountKind(int least, int most) : ParameterKind<int>
{
    public override string ValueName => "NUMBER";

    public override string Range => string.Create(CultureInfo.InvariantCulture, $"{least} to {most}");

    public override (int Least, int Most)? Bounds => (least, most);

    public override bool TryParse(string text, out int value, [NotNullWhen(false)] out string? error)
    {
        error = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) ? null : $"'{text}' is not a number, {Range}";
        return error is null;
    }

    public override string? Check(int value) => value >= least && value <= most ? null : $"the range is {Range}";

    public override string Format(int value) => value.ToString(CultureInfo.InvariantCulture);

    public override void Write(Utf8JsonWriter writer, int value) => writer.WriteNumberValue(value);
}

/// <summary>Words of the user, such as a path; empty for none.</summary>
/// <param name="valueName">Stands for the value in help.</param>
/// <param name="range">The values, in words.</param>
/// <param name="none">What it means that there is none, in words.</param>
internal sealed class TextKind(string valueName, string range, string none) : ParameterKind<string>
{
    public override string ValueName => valueName;

    public override string Range => range;

    public override bool TryParse(string text, [MaybeNullWhen(false)] out string value, [NotNullWhen(false)] out string? error)
    {
        value = text;
        error = text.Length > 0 ? null : $"it is empty: it must be {range}";
        return error is null;
    }

    public override string Format(string value) => value.Length > 0 ? value : none;

    public override void Write(Utf8JsonWriter writer, string value) => writer.WriteStringValue(value);
}

/// <summary>Networks and the source ports of their hosts; none stands for every one.</summary>
internal sealed class AllowedPeersKind : ParameterKind<IReadOnlyList<AllowedPeers>>
{
    public override string ValueName => AllowedPeers.Form;

    public override string Range => "networks such as 10.0.0.0/24, or addresses; each with or without source ports, as in 10.0.0.0/24:1-1023";

    public override bool TakesMany => true;

    public override bool TryParse(string text, [MaybeNullWhen(false)] out IReadOnlyList<AllowedPeers> value, [NotNullWhen(false)] out string? error)
    {
        bool isRead = AllowedPeers.TryParse(text, out AllowedPeers? peers, out error);
        value = isRead ? [peers!] : null;
        return isRead;
    }

    public override string Format(IReadOnlyList<AllowedPeers> value) => value.Count == 0 ? "everyone" : string.Join(", ", value);

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<AllowedPeers> value)
    {
        writer.WriteStartArray();
        foreach (AllowedPeers peers in value)
        {
            writer.WriteStringValue(peers.ToString());
        }

        writer.WriteEndArray();
    }

    public override IReadOnlyList<AllowedPeers> Join(IReadOnlyList<AllowedPeers> first, IReadOnlyList<AllowedPeers> second) => [.. first, .. second];
}

/// <summary>A value, or none.</summary>
/// <param name="inner">The values.</param>
/// <param name="none">What it means that there is none, in words.</param>
internal sealed class OptionalKind<T>(ParameterKind<T> inner, string none) : ParameterKind<T?>
    where T : struct
{
    public override string? ValueName => inner.ValueName;

    public override string Range => inner.Range;

    public override bool TryParse(string text, [MaybeNullWhen(false)] out T? value, [NotNullWhen(false)] out string? error)
    {
        bool isRead = inner.TryParse(text, out T read, out error);
        value = isRead ? read : null;
        return isRead;
    }

    public override string? Check(T? value) => value is { } given ? inner.Check(given) : null;

    public override string Format(T? value) => value is { } given ? inner.Format(given) : none;

    public override void Write(Utf8JsonWriter writer, T? value)
    {
        if (value is { } given)
        {
            inner.Write(writer, given);
        }
        else
        {
            writer.WriteNullValue();
        }
    }
}
