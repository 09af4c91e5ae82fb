using System.Globalization;

namespace RdmaMigration.Cli.Tests;

public class HelpTests
{
    [Fact]
    public void Root_help_has_an_example_of_each_command_and_every_exit_code()
    {
        CommandLine help = CommandLine.Run("--help");

        Assert.Equal(0, help.ExitCode);
        foreach (string command in (string[])["receive", "send", "relay", "serve", "migrate", "top", "qemu", "guest", "inspect", "doctor"])
        {
            Assert.Contains($"  rdmamig {command} ", help.Out, StringComparison.Ordinal);
        }

        string[] table = help.Out[help.Out.IndexOf("Exit codes:", StringComparison.Ordinal)..].Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        Assert.Equal(["0", "1", "2", "3", "130"], table.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[0]).Distinct());
    }

    [Theory]
    [InlineData("receive")]
    [InlineData("send")]
    [InlineData("relay")]
    [InlineData("migrate")]
    [InlineData("top")]
    [InlineData("qemu")]
    [InlineData("guest")]
    [InlineData("inspect")]
    [InlineData("doctor")]
    public void Command_help_has_its_own_examples_and_no_others(string command)
    {
        CommandLine help = CommandLine.Run(command, "--help");

        Assert.Equal(0, help.ExitCode);
        string examples = help.Out[help.Out.IndexOf("Examples:", StringComparison.Ordinal)..help.Out.IndexOf("Exit codes:", StringComparison.Ordinal)];
        IEnumerable<string> commands = examples.Split('\n')
            .Where(line => line.StartsWith("  rdmamig ", StringComparison.Ordinal))
            .Select(line => line.Split(' ')[3])
            .Distinct();
        Assert.Equal([command], commands);
    }

    [Theory]
    [InlineData("receive", 0, 1, 2, 3, 130)]
    [InlineData("serve", 0, 1, 2, 3)]
    [InlineData("top", 0, 1, 2, 3)]
    [InlineData("inspect", 0, 1, 2, 3)]
    [InlineData("doctor", 0, 2, 3)]
    public void Command_help_has_its_own_exit_codes_and_no_others(string command, params int[] codes)
    {
        string help = CommandLine.Run(command, "--help").Out;

        string[] table = help[help.IndexOf("Exit codes:", StringComparison.Ordinal)..].Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        Assert.Equal(codes, table.Select(line => int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], CultureInfo.InvariantCulture)));
    }

    [Theory]
    [InlineData("receive", "--pattern", "--interval")]
    [InlineData("send", "--interval")]
    [InlineData("relay", "--interval")]
    [InlineData("migrate", "--greeting-timeout", "--interval")]
    [InlineData("top", "--greeting-timeout", "--interval")]
    [InlineData("guest", "--ram", "--dirty-rate", "--working-set", "--pattern", "--writers", "--after", "--for", "--interval")]
    public void Help_names_the_default_of_options_that_are_no_parameters(string command, params string[] options)
    {
        string help = CommandLine.Run(command, "--help").Out;

        foreach (string option in options)
        {
            string line = help.Split('\n').Single(text => text.TrimStart().StartsWith(option + " ", StringComparison.Ordinal));
            Assert.Contains("[default: ", line, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Version_is_one_line_with_the_program_and_its_version()
    {
        CommandLine version = CommandLine.Run("--version");

        Assert.Equal(0, version.ExitCode);
        Assert.Matches(@"^rdmamig \d+\.\d+\.\d+\S*\n$", version.Out);
    }

    [Fact]
    public void Without_a_command_help_goes_to_stderr()
    {
        CommandLine nothing = CommandLine.Run();

        Assert.Equal(ExitCode.Usage, nothing.ExitCode);
        Assert.Empty(nothing.Out);
        Assert.Contains("Usage:", nothing.Error, StringComparison.Ordinal);
    }
}
