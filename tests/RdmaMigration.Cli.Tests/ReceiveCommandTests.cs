using RdmaMigration.Testing;

namespace RdmaMigration.Cli.Tests;

/// <summary><c>rdmamig receive</c> from its command line to its exit code, over what needs no RDMA.</summary>
public sealed class ReceiveCommandTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public ReceiveCommandTests() => File.WriteAllBytes(Source, StreamBuilder.SmallMachine());

    private string Source => Path.Combine(_directory.FullName, "source");

    private string Capture => Path.Combine(_directory.FullName, "vm.qemu");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_capture_is_named_on_stdout_and_can_be_read()
    {
        CommandLine received = CommandLine.Run("receive", $"file:{Source}", "--to", Capture);

        Assert.Equal((ExitCode.Done, $"{Capture}\n"), (received.ExitCode, received.Out));
        Assert.Equal(0, CommandLine.Run("inspect", Capture).ExitCode);
    }

    // It is read to its end before the capture, which was written aside, takes its place.
    [Fact]
    public void A_file_may_be_received_into_itself()
    {
        CommandLine received = CommandLine.Run("receive", $"file:{Source}", "--to", Source);

        Assert.Equal(ExitCode.Done, received.ExitCode);
        Assert.Equal(0, CommandLine.Run("inspect", Source).ExitCode);
    }

    [Fact]
    public void Bytes_behind_the_end_of_a_file_are_ignored_which_verbose_output_says()
    {
        File.AppendAllText(Source, new string('\n', 1000));

        CommandLine received = Shell.Run($"{Shell.Rdmamig} receive file:{Source} --to {Capture} --verbose");

        Assert.Equal(ExitCode.Done, received.ExitCode);
        Assert.Contains("ignored 1000 bytes after the end of the stream", received.Error, StringComparison.Ordinal);
        Assert.Equal(0, CommandLine.Run("inspect", Capture).ExitCode);
    }

    [Fact]
    public void A_target_that_is_a_FIFO_ends_with_3_and_the_command_that_writes_into_it()
    {
        Shell.Fifo(Capture);

        CommandLine refused = CommandLine.Run("receive", $"file:{Source}", "--to", Capture);

        Assert.Equal(ExitCode.HostCannot, refused.ExitCode);
        Assert.Contains($"rdmamig relay URI \"exec:cat > {Capture}\"", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("doctor", refused.Error, StringComparison.Ordinal);
        Assert.Equal(["source", "vm.qemu"], _directory.EnumerateFileSystemInfos().Select(entry => entry.Name).Order());
    }

    [Fact]
    public void A_rescue_into_a_device_ends_with_3()
    {
        CommandLine refused = CommandLine.Run("relay", $"file:{Source}", "unix:/nonexistent", "--rescue", "/dev/null");

        Assert.Equal(ExitCode.HostCannot, refused.ExitCode);
        Assert.Contains("'/dev/null'", refused.Error, StringComparison.Ordinal);
    }
}
