using System.CommandLine;

namespace RdmaMigration.Manual;

/// <summary>The completion for bash: one case for each option with a value, and one for each command.</summary>
internal static class BashCompletion
{
    private const string Start = """
        # bash completion of rdmamig, generated from its command tree.
        _rdmamig() {
            local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words= files=
            # bash splits --option=value at the sign.
            if [[ $word == = ]]; then
                word=
            elif [[ $previous == = ]]; then
                previous=${COMP_WORDS[COMP_CWORD - 2]}
            fi
            case $((COMP_CWORD > 1)):${COMP_WORDS[1]}:$previous in
        """;

    private const string End = """
            esac
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
            # bash itself completes file names, with ~ and quotes, where no word matches.
            [[ -z $files ]] || compopt -o default
        }
        complete -F _rdmamig rdmamig

        """;

    public static string Write(RootCommand root) =>
        string.Join('\n', root.Subcommands.SelectMany(Cases).Prepend(Case("0:*", Words(NamesOf(root)))).Prepend(Start).Append(End));

    private static IEnumerable<string> Cases(Command command)
    {
        foreach (Option option in CommandTree.OptionsOf(command))
        {
            if (CommandTree.ValueOf(option) is { } value)
            {
                ValueForm form = ValueForm.Of(value);
                IEnumerable<string> patterns = CommandTree.CompletedNamesOf(option).Select(name => $"1:{command.Name}:{name}");
                yield return Case(string.Join(" | ", patterns), form.IsFile ? $"{Words(form.Words)} files=yes" : Words(form.Words));
            }
        }

        bool takesFile = command.Arguments.Any(argument => ValueForm.Of(argument.Name).IsFile);
        string names = Words(NamesOf(command));
        // Where a file can stand, options are offered after a dash only.
        yield return Case($"1:{command.Name}:*", takesFile ? $"if [[ $word == -* ]]; then {names}; else files=yes; fi" : names);
    }

    private static string Case(string pattern, string body) => $"        {pattern}) {body} ;;";

    private static string Words(IEnumerable<string> words) => $"words='{string.Join(' ', words)}'";

    private static IEnumerable<string> NamesOf(Command command) =>
        command.Subcommands.Select(subcommand => subcommand.Name).Concat(CommandTree.OptionsOf(command).SelectMany(CommandTree.CompletedNamesOf));
}
