namespace RdmaMigration.Cli.Tests;

public class HelpTests
{
    [Fact]
    public void Root_help_has_an_example_of_each_command_and_every_exit_code()
    {
        CommandLine help = CommandLine.Run("--help");

        Assert.Equal(0, help.ExitCode);
        foreach (string command in (string[])["receive", "send", "relay", "inspect", "doctor"])
        {
            Assert.Contains($"  rdmamig {command} ", help.Out, StringComparison.Ordinal);
        }

        string table = help.Out[help.Out.IndexOf("Exit codes:", StringComparison.Ordinal)..];
        Assert.Equal(
            """
            Exit codes:
              0    done
              1    the migration failed (of receive and relay: with --once), or the file cannot be read as a migration stream or lacks the device asked for
              2    usage: the command line is wrong
              3    this host cannot: no RDMA library or device, port in use, target or standard output not writable
              130  cancelled by SIGINT or SIGTERM

            """, table);
    }

    [Theory]
    [InlineData("receive")]
    [InlineData("send")]
    [InlineData("relay")]
    [InlineData("inspect")]
    [InlineData("doctor")]
    public void Command_help_has_its_own_examples_and_no_others(string command)
    {
        CommandLine help = CommandLine.Run(command, "--help");

        Assert.Equal(0, help.ExitCode);
        string examples = help.Out[help.Out.IndexOf("Examples:", StringComparison.Ordinal)..help.Out.IndexOf("Exit codes:", StringComparison.Ordinal)];
        IEnumerable<string> commands = examples.Split('\n').Where(line => line.StartsWith("  rdmamig ", StringComparison.Ordinal)).Select(line => line.Split(' ')[3]).Distinct();
        Assert.Equal([command], commands);
    }

    [Theory]
    [InlineData("receive", "--max-ram", "--timeout", "--keepalive-interval", "--allow", "--pattern", "--interval")]
    [InlineData("send", "--window", "--max-bandwidth", "--timeout", "--connect-timeout", "--keepalive-interval", "--confirm-timeout", "--interval")]
    [InlineData("relay", "--max-ram", "--window", "--max-bandwidth", "--timeout", "--connect-timeout", "--keepalive-interval", "--confirm-timeout", "--interval")]
    public void Help_names_every_default(string command, params string[] options)
    {
        string help = CommandLine.Run(command, "--help").Out;

        foreach (string option in options)
        {
            string line = help.Split('\n').Single(text => text.TrimStart().StartsWith(option + " ", StringComparison.Ordinal));
            Assert.Contains("[default: ", line, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Help_of_send_says_what_is_asked_for_and_which_values_hold_without_it()
    {
        string help = string.Join(' ', CommandLine.Run("send", "--help").Out.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

        foreach (string text in (string[])
            [
                "<FILE> The capture: what 'rdmamig receive' wrote",
                "<URI> Where to, as QEMU writes it: rdma:HOST:PORT, tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND or fd:N",
                "--pin-all RDMA: have the destination register all RAM at the start",
                "--return-path RDMA: have the destination say how it ended",
                "--window <SIZE> RDMA: the most memory that a key is asked for at once; a multiple of 1 MiB [default: 64 MiB]",
                "--max-bandwidth <SIZE> The most bytes a second; binary units [default: no limit]",
                "--timeout <SECONDS> The longest that the migration may take once FILE is read [default: no limit]",
                "--connect-timeout <SECONDS> The longest wait for the destination to take the connection [default: 10]",
                "--keepalive-interval <SECONDS> Silence after which the destination is probed; 0 never probes [default: 5]",
                "[default: no limit, or 60 where it cannot say]",
                "--json Write events as JSON, one object a line: MIGRATION, PROGRESS, RESULT",
            ])
        {
            Assert.Contains(text, help, StringComparison.Ordinal);
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
