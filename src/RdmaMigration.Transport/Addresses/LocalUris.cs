using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace RdmaMigration.Transport;

/// <summary>A UNIX domain socket: <c>unix:PATH</c>.</summary>
/// <param name="Path">The socket's path, at most 107 bytes in UTF-8.</param>
internal sealed record UnixUri(string Path) : MigrationUri
{
    internal const string SchemeName = "unix";
    internal const string Form = "unix:PATH";

    /// <summary>sun_path has 108 bytes, and the last one is NUL.</summary>
    private const int MostPathBytes = 107;

    /// <inheritdoc/>
    public override string Scheme => SchemeName;

    /// <summary>Reads <c>unix:PATH</c>.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static new UnixUri Parse(string text)
    {
        string path = AfterScheme(text, SchemeName, Form);
        if (path.Length == 0 || path.Contains('\0', StringComparison.Ordinal))
        {
            throw new FormatException($"'{text}' has no path; expected {Form}");
        }

        int bytes = Encoding.UTF8.GetByteCount(path);
        return bytes <= MostPathBytes
            ? new UnixUri(path)
            : throw new FormatException($"the path of '{text}' has {bytes} bytes; a socket's path has at most {MostPathBytes}");
    }

    /// <inheritdoc/>
    public override string ToString() => $"{SchemeName}:{Path}";
}

/// <summary>A file: <c>file:PATH[,offset=N]</c>.</summary>
/// <param name="Path">The file's path.</param>
/// <param name="Offset">Where the stream begins in it, in bytes; 0 or more.</param>
internal sealed record FileUri(string Path, long Offset = 0) : MigrationUri
{
    internal const string SchemeName = "file";
    internal const string Form = "file:PATH[,offset=N]";
    private const string OffsetOption = ",offset=";

    /// <inheritdoc/>
    public override string Scheme => SchemeName;

    /// <summary>A file of any name, also one with a comma.</summary>
    /// <exception cref="FormatException">The path is empty or has a NUL, or the offset is negative.</exception>
    public static FileUri Of(string path, long offset) =>
        path.Length == 0 || path.Contains('\0', StringComparison.Ordinal) ? throw new FormatException($"'{SchemeName}:{path}' has no path; expected {Form}")
        : offset < 0 ? throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"the offset {offset} is negative"))
        : new FileUri(path, offset);

    /// <summary>Reads <c>file:PATH[,offset=N]</c>. N is decimal or hexadecimal (0x), with K, M, G or T behind it for units of 1024.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static new FileUri Parse(string text)
    {
        string rest = AfterScheme(text, SchemeName, Form);
        int option = rest.IndexOf(OffsetOption, StringComparison.Ordinal);
        return option < 0 ? Of(rest, offset: 0) : Of(rest[..option], ParseOffset(rest[(option + OffsetOption.Length)..], text));
    }

    /// <inheritdoc/>
    public override string ToString() =>
        Offset == 0 ? $"{SchemeName}:{Path}" : string.Create(CultureInfo.InvariantCulture, $"{SchemeName}:{Path}{OffsetOption}{Offset}");

    private static long ParseOffset(string number, string text)
    {
        bool isHexadecimal = number.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        int unit = number.Length == 0 ? -1 : "KMGT".IndexOf(char.ToUpperInvariant(number[^1]), StringComparison.Ordinal);
        ReadOnlySpan<char> digits = number.AsSpan()[(isHexadecimal ? 2 : 0)..];
        digits = unit < 0 ? digits : digits[..^1];
        int shift = 10 * (unit + 1);
        NumberStyles style = isHexadecimal ? NumberStyles.AllowHexSpecifier : NumberStyles.None;
        return ulong.TryParse(digits, style, CultureInfo.InvariantCulture, out ulong count) && count <= (ulong)long.MaxValue >> shift
            ? (long)(count << shift)
            : throw new FormatException($"the offset '{number}' of '{text}' is not a number of bytes, such as 4096, 0x1000 or 4K, below 8 EiB");
    }
}

/// <summary>A shell command that takes the stream on its standard input, or gives it on its standard output: <c>exec:COMMAND</c>.</summary>
/// <param name="Command">What <c>/bin/sh -c</c> runs.</param>
internal sealed record ExecUri(string Command) : MigrationUri
{
    internal const string SchemeName = "exec";
    internal const string Form = "exec:COMMAND";

    /// <inheritdoc/>
    public override string Scheme => SchemeName;

    /// <summary>Reads <c>exec:COMMAND</c>.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static new ExecUri Parse(string text)
    {
        string command = AfterScheme(text, SchemeName, Form);
        return string.IsNullOrWhiteSpace(command) || command.Contains('\0', StringComparison.Ordinal)
            ? throw new FormatException($"'{text}' has no command; expected {Form}")
            : new ExecUri(command);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{SchemeName}:{Command}";
}

/// <summary>A descriptor that this process was started with: <c>fd:N</c>.</summary>
/// <param name="Number">The descriptor's number, 0 or more.</param>
internal sealed record DescriptorUri(int Number) : MigrationUri
{
    internal const string SchemeName = "fd";
    internal const string Form = "fd:N";

    /// <inheritdoc/>
    public override string Scheme => SchemeName;

    /// <summary>Reads <c>fd:N</c>.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static new DescriptorUri Parse(string text)
    {
        string number = AfterScheme(text, SchemeName, Form);
        return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int descriptor)
            ? new DescriptorUri(descriptor)
            : throw new FormatException($"the descriptor '{number}' of '{text}' is not a number; expected {Form}, as in fd:5");
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{SchemeName}:{Number}");
}

/// <summary>A descriptor that another process has passed to this one while it runs. It has no text form to read.</summary>
/// <param name="Text">The address by which it was asked for, such as <c>fd:NAME</c>.</param>
/// <param name="Handle">The descriptor. The channel owns it; an open that fails closes it.</param>
internal sealed record PassedDescriptorUri(string Text, SafeFileHandle Handle) : MigrationUri
{
    /// <inheritdoc/>
    public override string Scheme => DescriptorUri.SchemeName;

    /// <inheritdoc/>
    public override string ToString() => Text;
}
