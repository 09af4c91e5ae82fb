using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli;

/// <summary>Options that several commands have and that are no parameters of a migration.</summary>
internal static class SharedOptions
{
    public static Option<bool> Json(string description) => new("--json") { Description = description };

    /// <summary>Ends after one migration.</summary>
    public static Option<bool> Once() => new("--once") { Description = "Exit after the first migration, even if it fails (exit code 1)" };

    /// <summary>An option for a value of a parameter's kind.</summary>
    public static Option<T?> Value<T>(string name, string description, ParameterKind<T> kind)
        where T : struct => new(name)
        {
            Description = description,
            HelpName = kind.ValueName,
            CustomParser = result =>
            {
                string text = result.Tokens[0].Value;
                if (!kind.TryParse(text, out T value, out string? error))
                {
                    return Refuse<T?>(result, $"{name}: {error}");
                }

                return kind.Check(value) is { } bound ? Refuse<T?>(result, $"{name}: '{text}' is out of range: {bound}") : value;
            },
        };

    public static T? Refuse<T>(ArgumentResult result, string message)
    {
        result.AddError(message);
        return default;
    }

    /// <summary>An argument that names a file.</summary>
    public static Argument<string> Path(string name, string description) =>
        new(name) { Description = description, CustomParser = result => ReadPath(name, result) };

    /// <summary>An option that names a file or a directory.</summary>
    public static Option<string> Path(string name, string description, string helpName, bool required = false) =>
        new(name) { Description = description, HelpName = helpName, Required = required, CustomParser = result => ReadPath(name, result) };

    /// <summary>
    /// A value for a command's validator, which also runs when an argument or an option is wrong; null for one that is missing or cannot be read.
    /// </summary>
    public static T? ValueOf<T>(Func<T?> value)
        where T : class
    {
        try
        {
            return value();
        }
        catch (InvalidOperationException)
        {
            // The library throws this for a value that its parser has refused. It reports the refusal itself.
            return null;
        }
    }

    // Scripts give an empty path when a variable was never set.
    private static string? ReadPath(string name, ArgumentResult result) =>
        result.Tokens[0].Value is { Length: > 0 } path ? path : Refuse<string>(result, $"{name} is empty: it must name a file");
}
