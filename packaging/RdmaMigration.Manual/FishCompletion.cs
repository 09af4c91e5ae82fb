using System.CommandLine;

namespace RdmaMigration.Manual;

/// <summary>The completion for fish: a line for each command and each option.</summary>
internal static class FishCompletion
{
    private const string Start = """
        # fish completion of rdmamig, generated from its command tree.
        complete -c rdmamig -f
        """;

    private const string NoCommand = "__fish_use_subcommand";

    public static string Write(RootCommand root)
    {
        List<string> lines = [Start];
        lines.AddRange(root.Subcommands.Select(command => $"{Complete(NoCommand)} -a {command.Name} -d {Quote(CommandTree.SummaryOf(command))}"));
        lines.AddRange(CommandTree.OptionsOf(root).Select(option => Line(option, NoCommand)));
        foreach (Command command in root.Subcommands)
        {
            string condition = $"__fish_seen_subcommand_from {command.Name}";
            if (command.Arguments.Any(argument => ValueForm.Of(argument.Name).IsFile))
            {
                lines.Add($"{Complete(condition)} -F");
            }

            lines.AddRange(CommandTree.OptionsOf(command).Select(option => Line(option, condition)));
        }

        return string.Join('\n', lines) + '\n';
    }

    private static string Line(Option option, string condition)
    {
        IEnumerable<string> names = CommandTree.CompletedNamesOf(option)
            .Select(name => $"{(name.StartsWith("--", StringComparison.Ordinal) ? "-l" : "-s")} {Quote(name.TrimStart('-'))}");
        return $"{Complete(condition)} {string.Join(' ', names)}{Value(option)} -d {Quote(CommandTree.SummaryOf(option))}";
    }

    private static string Complete(string condition) => $"complete -c rdmamig -n {Quote(condition)}";

    private static string Value(Option option)
    {
        if (CommandTree.ValueOf(option) is not { } value)
        {
            return "";
        }

        ValueForm form = ValueForm.Of(value);
        return $" -r {(form.IsFile ? "-F" : "-f")}{(form.Words.Count > 0 ? $" -a {Quote(string.Join(' ', form.Words))}" : "")}";
    }

    private static string Quote(string text) =>
        $"'{text.Replace(@"\", @"\\", StringComparison.Ordinal).Replace("'", @"\'", StringComparison.Ordinal)}'";
}
