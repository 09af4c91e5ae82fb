using RdmaMigration.Testing;

namespace RdmaMigration.Cli.Tests;

/// <summary>The program itself, with standard streams that take nothing.</summary>
public sealed class UnwritableOutputTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public UnwritableOutputTests() => File.WriteAllBytes(Source, StreamBuilder.SmallMachine());

    private string Source => Path.Combine(_directory.FullName, "source");

    private string Capture => Path.Combine(_directory.FullName, "vm.qemu");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [InlineData("--version", "> /dev/full", "No space left on device")]
    [InlineData("--version", ">&-", "Bad file descriptor")]
    [InlineData("--help", "> /dev/full", "No space left on device")]
    [InlineData("doctor", "> /dev/full", "No space left on device")]
    [InlineData("doctor --json", "> /dev/full", "No space left on device")]
    [InlineData("inspect {source}", "> /dev/full", "No space left on device")]
    [InlineData("inspect {source} --json", ">&-", "Bad file descriptor")]
    public void A_command_whose_output_is_its_work_ends_with_3_and_says_why(string arguments, string redirection, string reason)
    {
        CommandLine unwritable = Shell.Run($"{Shell.Rdmamig} {arguments.Replace("{source}", Source, StringComparison.Ordinal)} {redirection}");

        Assert.Equal(new CommandLine(ExitCode.HostCannot, "", $"rdmamig: cannot write to standard output: {reason}\n"), unwritable);
    }

    [Theory]
    [InlineData("> /dev/full", "")]
    [InlineData("> /dev/full", "--json")]
    [InlineData(">&-", "")]
    [InlineData(">&-", "--json")]
    public void A_migration_is_not_lost_with_its_report_and_its_exit_code_stays(string redirection, string option)
    {
        CommandLine received = Shell.Run($"{Shell.Rdmamig} receive file:{Source} --to {Capture} {option} {redirection}");

        Assert.Equal(ExitCode.Done, received.ExitCode);
        Assert.Single(received.Error.Split('\n'), line => line.StartsWith("rdmamig: cannot write to standard output: ", StringComparison.Ordinal));
        Assert.Equal(0, CommandLine.Run("inspect", Capture).ExitCode);
    }

    [Fact]
    public void A_failed_migration_still_ends_with_1()
    {
        CommandLine failed = Shell.Run($"{Shell.Rdmamig} send {Source} unix:{Source} --json > /dev/full");

        Assert.Equal(ExitCode.Failed, failed.ExitCode);
        Assert.Contains("exit code", failed.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2> /dev/full")]
    [InlineData("2>&-")]
    public void Words_that_cannot_be_said_on_stderr_end_nothing(string redirection)
    {
        Assert.Equal(new CommandLine(ExitCode.Done, $"{Capture}\n", ""), Shell.Run($"{Shell.Rdmamig} receive file:{Source} --to {Capture} {redirection}"));
        Assert.Equal(new CommandLine(ExitCode.Usage, "", ""), Shell.Run($"{Shell.Rdmamig} recieve {redirection}"));
    }

    [Fact]
    public void A_reader_that_has_gone_is_no_error() =>
        Assert.Equal(new CommandLine(0, "", "0\n"), Shell.Run($"{{ {Shell.Rdmamig} inspect {Source}; echo $? >&2; }} | true"));
}
