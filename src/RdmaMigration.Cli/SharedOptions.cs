using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli;

/// <summary>Options that several commands have, so that they read the same everywhere.</summary>
internal static class SharedOptions
{
    public static Option<bool> Json(string description) => new("--json") { Description = description };

    public static Option<ulong?> MaxRam(string description) => Size("--max-ram", description, 1 << 20);

    /// <summary>A size of at least so many bytes, and a multiple of so many. Nobody means 16 bytes with --max-ram 16; QEMU's -m would have taken MiB.</summary>
    public static Option<ulong?> Size(string name, string description, ulong least, ulong multipleOf = 1) => new(name)
    {
        Description = description,
        HelpName = "SIZE",
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (!ByteSize.TryParse(text, out ulong bytes, out string? error))
            {
                return Refuse<ulong?>(result, $"{name}: {error}");
            }

            if (bytes >= least && bytes % multipleOf == 0)
            {
                return bytes;
            }

            string bound = bytes >= least ? $"it must be a multiple of {ByteSize.Format(multipleOf)}"
                : text.All(char.IsAsciiDigit) ? $"the unit is missing, such as {text}M or {text}G"
                : $"the least is {ByteSize.Format(least)}";
            return Refuse<ulong?>(result, $"{name}: '{text}' is {bytes} bytes; {bound}");
        },
    };

    public static Option<TimeSpan?> Seconds(string name, string description, bool zeroIsOff = false) => new(name)
    {
        Description = description,
        HelpName = "SECONDS",
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            bool readable = decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal seconds);
            return readable && seconds <= MaxSeconds && (seconds >= 0.001m || (seconds == 0 && zeroIsOff))
                ? TimeSpan.FromMilliseconds((long)(seconds * 1000))
                : Refuse<TimeSpan?>(result, $"{name}: '{text}' is not a number of seconds, {(zeroIsOff ? "0 or " : "")}0.001 to {MaxSeconds}");
        },
    };

    // A day; longer is a slip of the keyboard, and milliseconds of it fit every native time-out.
    private const int MaxSeconds = 86_400;

    public static T? Refuse<T>(ArgumentResult result, string message)
    {
        result.AddError(message);
        return default;
    }

    /// <summary>Where a migration comes from or goes to, in QEMU's spelling.</summary>
    public static Argument<MigrationUri> Address(string name, string description) => new(name)
    {
        Description = description,
        CustomParser = result =>
        {
            try
            {
                return MigrationUri.Parse(result.Tokens[0].Value);
            }
            catch (FormatException unreadable)
            {
                return Refuse<MigrationUri>(result, unreadable.Message);
            }
        },
    };

    /// <summary>An argument that names a file.</summary>
    public static Argument<string> Path(string name, string description) => new(name) { Description = description, CustomParser = result => ReadPath(name, result) };

    /// <summary>An option that names a file or a directory.</summary>
    public static Option<string> Path(string name, string description, string helpName, bool required = false) =>
        new(name) { Description = description, HelpName = helpName, Required = required, CustomParser = result => ReadPath(name, result) };

    /// <summary>For a command's validator, which runs although an argument or an option is wrong: its value, or null for one that is missing or cannot be read.</summary>
    public static T? ValueOf<T>(Func<T?> value)
        where T : class
    {
        try
        {
            return value();
        }
        catch (InvalidOperationException)
        {
            // The library's word for a value that its parser has refused; it reports that itself.
            return null;
        }
    }

    // Empty is what a script gives whose variable was never set.
    private static string? ReadPath(string name, ArgumentResult result) =>
        result.Tokens[0].Value is { Length: > 0 } path ? path : Refuse<string>(result, $"{name} is empty: it must name a file");
}
