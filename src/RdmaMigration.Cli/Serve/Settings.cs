using System.CommandLine;
using Microsoft.Extensions.Configuration;

namespace RdmaMigration.Cli.Serve;

/// <summary>
/// Options of a command that a file (INI) and the environment set. A key is an option's name without its dashes, so the command's options are the only list of
/// names, and their parsers the only checks. The command line wins over the environment, and the environment over the file.
/// </summary>
internal sealed class Settings(Command command, Option<string?> file)
{
    private static readonly char[] s_separators = [',', ' '];

    private readonly List<string> _arguments = [];
    private readonly List<string> _errors = [];

    /// <summary>What variables of the environment begin with: <c>RDMAMIG_SERVE_</c>.</summary>
    public string Prefix { get; } = $"RDMAMIG_{command.Name.ToUpperInvariant()}_";

    /// <summary>Each names the source, the key, the value and the bound.</summary>
    public IReadOnlyList<string> Errors => _errors;

    /// <summary>Reads and checks all settings.</summary>
    /// <returns>The arguments to add to the command line; none for an option that the command line has itself.</returns>
    public IReadOnlyList<string> Read(ParseResult parsed)
    {
        HashSet<Option> decided = [.. command.Options.Where(option => parsed.GetResult(option) is { Implicit: false })];
        Take(decided, ReadEnvironment(), key => Prefix + key.ToUpperInvariant().Replace('-', '_'));
        if (parsed.GetResult(file) is { Implicit: false, Tokens: [{ Value: { Length: > 0 } path }] })
        {
            Take(decided, ReadFile(path), key => $"{path}: {key}");
        }

        return _arguments;
    }

    private Dictionary<string, string> ReadEnvironment()
    {
        IConfigurationRoot root = new ConfigurationBuilder().AddEnvironmentVariables(Prefix).Build();
        return root.AsEnumerable().Where(setting => setting.Value is not null)
            .ToDictionary(setting => setting.Key.ToLowerInvariant().Replace('_', '-'), setting => setting.Value!);
    }

    private Dictionary<string, string> ReadFile(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            IConfigurationRoot root = new ConfigurationBuilder().AddIniStream(stream).Build();
            return root.AsEnumerable().Where(setting => setting.Value is not null).ToDictionary(setting => setting.Key, setting => setting.Value!);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or FormatException)
        {
            _errors.Add(unreadable is FormatException ? $"{path}: {unreadable.Message}" : $"{file.Name}: {unreadable.Message}");
            return [];
        }
    }

    private void Take(HashSet<Option> decided, Dictionary<string, string> settings, Func<string, string> nameInSource)
    {
        List<Option> taken = [];
        foreach ((string key, string value) in settings.OrderBy(setting => setting.Key, StringComparer.Ordinal))
        {
            if (command.Options.FirstOrDefault(option => option != file && option.Name == $"--{key}") is not { } option)
            {
                _errors.Add($"{nameInSource(key)}: 'rdmamig {command.Name}' has no option --{key}");
                continue;
            }

            string[] arguments = Arguments(option, value);
            foreach (string message in new Command(command.Name) { option }.Parse(arguments).Errors.Select(error => error.Message))
            {
                _errors.Add($"{nameInSource(key)} = {value}: {message}");
            }

            if (!decided.Contains(option))
            {
                _arguments.AddRange(arguments);
                taken.Add(option);
            }
        }

        decided.UnionWith(taken);
    }

    /// <summary>A switch is on or off. A list has commas or spaces between its values.</summary>
    private static string[] Arguments(Option option, string value) => option switch
    {
        Option<bool> => [$"{option.Name}={value switch { "on" or "yes" or "1" => "true", "off" or "no" or "0" => "false", _ => value }}"],
        { Arity.MaximumNumberOfValues: > 1 } => [.. value.Split(s_separators, StringSplitOptions.RemoveEmptyEntries).Select(one => $"{option.Name}={one}")],
        _ => [$"{option.Name}={value}"],
    };
}
