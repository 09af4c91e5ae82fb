using System.CommandLine;

namespace RdmaMigration.Manual;

/// <summary>The completion for zsh, made of specifications for its function <c>_arguments</c>.</summary>
internal static class ZshCompletion
{
    private const string Start = """
        #compdef rdmamig
        # Generated from the command tree of rdmamig.
        _rdmamig() {
          local context state state_descr line
          local -a commands
          local -A opt_args
        """;

    private const string States = """
          case $state in
            command) _describe command commands ;;
            argument)
              case $words[1] in
        """;

    private const string End = """
              esac
              ;;
          esac
        }
        _rdmamig "$@"

        """;

    public static string Write(RootCommand root)
    {
        List<string> lines = [Start, "  commands=("];
        lines.AddRange(root.Subcommands.Select(command => $"    {Quote($"{command.Name}:{CommandTree.SummaryOf(command)}")}"));
        lines.Add("  )");
        lines.Add(Arguments("  ", root, ["1:command:->command", "*::argument:->argument"]));
        lines.Add(States);
        foreach (Command command in root.Subcommands)
        {
            lines.Add($"        {command.Name})");
            lines.Add(Arguments("          ", command, command.Arguments.Select(Positional)));
            lines.Add("          ;;");
        }

        lines.Add(End);
        return string.Join('\n', lines);
    }

    private static string Arguments(string indent, Command command, IEnumerable<string> positionals)
    {
        IEnumerable<string> specifications = CommandTree.OptionsOf(command).SelectMany(Specifications).Concat(positionals);
        return string.Join($" \\\n{indent}  ", specifications.Select(Quote).Prepend($"{indent}_arguments"));
    }

    /// <summary>One for each name. An option is offered once, unless it can be repeated.</summary>
    private static IEnumerable<string> Specifications(Option option)
    {
        IReadOnlyList<string> names = CommandTree.CompletedNamesOf(option);
        string? value = CommandTree.ValueOf(option);
        string repeat = option.Arity.MaximumNumberOfValues > 1 ? "*" : $"({string.Join(' ', names)})";
        string summary = CommandTree.SummaryOf(option).Replace(@"\", @"\\", StringComparison.Ordinal)
            .Replace("[", @"\[", StringComparison.Ordinal).Replace("]", @"\]", StringComparison.Ordinal);
        return names.Select(name => $"{repeat}{name}{(value is null ? "" : IsLong(name) ? "=" : "+")}[{summary}]{Action(value)}");
    }

    private static bool IsLong(string name) => name.StartsWith("--", StringComparison.Ordinal);

    private static string Positional(Argument argument) => $"{(argument.Arity.MaximumNumberOfValues > 1 ? "*" : "")}{Action(argument.Name)}";

    private static string Action(string? value)
    {
        if (value is null)
        {
            return "";
        }

        ValueForm form = ValueForm.Of(value);
        // An empty list, not zsh's blank for "nothing to complete": after a blank zsh lists an option that matches, and does not insert it.
        string action = form.IsFile && form.Words.Count == 0 ? "_files" : $"({string.Join(' ', form.Words)})";
        return $":{value.Replace(":", @"\:", StringComparison.Ordinal)}:{action}";
    }

    private static string Quote(string text) => $"'{text.Replace("'", @"'\''", StringComparison.Ordinal)}'";
}
