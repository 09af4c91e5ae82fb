namespace RdmaMigration.Cli.Tests;

public class HelpTests
{
    [Fact]
    public void Root_help_has_an_example_of_each_command_and_every_exit_code()
    {
        var help = CommandLine.Run("--help");

        Assert.Equal(0, help.ExitCode);
        foreach (var command in (string[])["receive", "inspect", "doctor"])
        {
            Assert.Contains($"  rdmamig {command} ", help.Out, StringComparison.Ordinal);
        }

        var table = help.Out[help.Out.IndexOf("Exit codes:", StringComparison.Ordinal)..];
        Assert.Equal(
            """
            Exit codes:
              0    done
              1    the migration failed (of receive: with --once), or the file cannot be read as a migration stream
              2    usage: the command line is wrong
              3    this host cannot: no RDMA library or device, port in use, target not writable
              130  cancelled by SIGINT or SIGTERM

            """, table);
    }

    [Theory]
    [InlineData("receive")]
    [InlineData("inspect")]
    [InlineData("doctor")]
    public void Command_help_has_its_own_examples_and_no_others(string command)
    {
        var help = CommandLine.Run(command, "--help");

        Assert.Equal(0, help.ExitCode);
        var examples = help.Out[help.Out.IndexOf("Examples:", StringComparison.Ordinal)..help.Out.IndexOf("Exit codes:", StringComparison.Ordinal)];
        var commands = examples.Split('\n').Where(line => line.StartsWith("  rdmamig ", StringComparison.Ordinal)).Select(line => line.Split(' ')[3]).Distinct();
        Assert.Equal([command], commands);
    }

    [Fact]
    public void Help_of_receive_names_every_default()
    {
        var help = CommandLine.Run("receive", "--help").Out;

        foreach (var option in (string[])["--max-ram", "--timeout", "--keepalive-interval", "--allow", "--pattern", "--interval"])
        {
            var line = help.Split('\n').Single(text => text.TrimStart().StartsWith(option + " ", StringComparison.Ordinal));
            Assert.Contains("[default: ", line, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Version_is_one_line_with_the_program_and_its_version()
    {
        var version = CommandLine.Run("--version");

        Assert.Equal(0, version.ExitCode);
        Assert.Matches(@"^rdmamig \d+\.\d+\.\d+\S*\n$", version.Out);
    }

    [Fact]
    public void Without_a_command_help_goes_to_stderr()
    {
        var nothing = CommandLine.Run();

        Assert.Equal(ExitCode.Usage, nothing.ExitCode);
        Assert.Empty(nothing.Out);
        Assert.Contains("Usage:", nothing.Error, StringComparison.Ordinal);
    }
}
