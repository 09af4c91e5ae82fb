using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Globalization;

namespace RdmaMigration.Cli;

/// <summary>The library's help, then the examples of the command at hand and the exit codes.</summary>
internal sealed class HelpPage(HelpAction inner, IReadOnlyDictionary<Command, string[]> examples) : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        int code = inner.Invoke(parseResult);
        Write(parseResult.CommandResult.Command, parseResult.InvocationConfiguration.Output);
        return code;
    }

    /// <summary>The examples of a command; for the program, those of all commands.</summary>
    public IEnumerable<string> ExamplesOf(Command command) =>
        examples.TryGetValue(command, out string[]? own) ? own : examples.Values.SelectMany(lines => lines);

    private void Write(Command command, TextWriter output)
    {
        output.WriteLine("Examples:");
        foreach (string line in ExamplesOf(command))
        {
            output.WriteLine($"  {line}");
        }

        output.WriteLine();
        output.WriteLine("Exit codes:");
        foreach ((int code, string meaning) in ExitCode.MeaningsOf(command is RootCommand ? null : command.Name))
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {code,-4} {meaning}"));
        }
    }
}
