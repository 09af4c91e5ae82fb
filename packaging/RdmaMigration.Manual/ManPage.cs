using System.CommandLine;
using System.CommandLine.Help;
using System.Globalization;
using RdmaMigration.Cli;

namespace RdmaMigration.Manual;

/// <summary>The man page of the program, or of one of its commands.</summary>
internal static class ManPage
{
    private const string Section = "1";

    /// <summary>rdmamig-receive is the page of <c>rdmamig receive</c>.</summary>
    public static string NameOf(Command command) => Rdmamig.Path(command).Replace(' ', '-');

    /// <param name="root">The whole tree.</param>
    /// <param name="command">The command that the page is about.</param>
    /// <param name="date">The date in the page's last line.</param>
    public static string Write(RootCommand root, Command command, DateOnly date)
    {
        HelpPage help = (HelpPage)root.Options.OfType<HelpOption>().Single().Action!;
        Roff page = new();
        page.Macro(
            "TH", Roff.Escape(NameOf(command).ToUpperInvariant()), Section, date.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            Roff.Escape($"rdmamig {Rdmamig.Version.Split('+')[0]}"), "Live migration over RDMA");
        page.Macro("SH", "NAME");
        page.Line($@"{Roff.Escape(NameOf(command))} \- {Roff.Escape(Uncapitalized(CommandTree.SummaryOf(command)))}");
        page.Macro("SH", "SYNOPSIS");
        page.Line(Synopsis(command));
        page.Macro("SH", "DESCRIPTION");
        page.Text(command.Description!);
        WriteArguments(page, command);
        WriteCommands(page, command);
        WriteOptions(page, command);
        WriteExamples(page, help.ExamplesOf(command));
        WriteExitCodes(page, command);
        WriteReferences(page, root, command);
        return page.ToString();
    }

    private static string Synopsis(Command command)
    {
        List<string> parts = [Roff.Bold(Rdmamig.Path(command))];
        if (command.Subcommands.Count > 0)
        {
            parts.Add($"{Roff.Italic("COMMAND")} [{Roff.Italic("ARGUMENT")}]...");
        }

        parts.AddRange(command.Arguments.Where(argument => argument.Arity.MinimumNumberOfValues > 0).Select(argument => Roff.Italic(argument.Name)));
        parts.AddRange(CommandTree.OptionsOf(command).Where(option => option.Required).Select(option => Label(option)));
        parts.Add($"[{Roff.Italic("OPTION")}]...");
        parts.AddRange(command.Arguments.Where(argument => argument.Arity.MinimumNumberOfValues == 0)
            .Select(argument => $"[{Roff.Bold("--")} {Roff.Italic(argument.Name)}...]"));
        return string.Join(' ', parts);
    }

    private static void WriteArguments(Roff page, Command command)
    {
        if (command.Arguments.Count > 0)
        {
            page.Macro("SH", "ARGUMENTS");
        }

        foreach (Argument argument in command.Arguments)
        {
            page.Item(Roff.Italic(argument.Name), argument.Description!);
        }
    }

    private static void WriteCommands(Roff page, Command command)
    {
        if (command.Subcommands.Count > 0)
        {
            page.Macro("SH", "COMMANDS");
        }

        foreach (Command subcommand in command.Subcommands)
        {
            page.Item(Roff.Bold(subcommand.Name), subcommand.Description!);
        }
    }

    private static void WriteOptions(Roff page, Command command)
    {
        page.Macro("SH", "OPTIONS");
        foreach (Option option in CommandTree.OptionsOf(command))
        {
            page.Item(Label(option), CommandTree.DescriptionOf(option) + (option.Required ? " (required)" : ""));
        }
    }

    private static void WriteExamples(Roff page, IEnumerable<string> examples)
    {
        page.Macro("SH", "EXAMPLES");
        page.Macro("EX");
        foreach (string example in examples)
        {
            page.Text(example);
        }

        page.Macro("EE");
    }

    private static void WriteExitCodes(Roff page, Command command)
    {
        page.Macro("SH", "EXIT STATUS");
        foreach ((int code, string meaning) in ExitCode.MeaningsOf(command is RootCommand ? null : command.Name))
        {
            page.Item(Roff.Bold(code.ToString(CultureInfo.InvariantCulture)), meaning);
        }
    }

    private static void WriteReferences(Roff page, RootCommand root, Command command)
    {
        page.Macro("SH", "SEE ALSO");
        Command[] others = [.. root.Subcommands.Prepend(root).Where(other => other != command)];
        page.Line(string.Join(", ", others.Select(other => $"{Roff.Bold(NameOf(other))}({Section})")));
    }

    private static string Label(Option option) =>
        string.Join(", ", CommandTree.NamesOf(option).Select(Roff.Bold)) + (CommandTree.ValueOf(option) is { } value ? $" {Roff.Italic(value)}" : "");

    private static string Uncapitalized(string sentence) => char.ToLowerInvariant(sentence[0]) + sentence[1..];
}
