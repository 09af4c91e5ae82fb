using System.Text.Json;
using RdmaMigration.Cli.Relay;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Tests;

/// <summary><c>rdmamig relay</c> from its command line to its exit code, over what needs no RDMA.</summary>
public sealed class RelayCommandTests : IDisposable
{
    private const int RamSize = 5 * StreamBuilder.Page;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public RelayCommandTests() => File.WriteAllBytes(Capture, StreamBuilder.SmallMachine());

    private string Capture => Path.Combine(_directory.FullName, "vm.qemu");

    private string Arrived => Path.Combine(_directory.FullName, "arrived");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_machine_that_passes_ends_with_0_and_a_RESULT_of_both_ways()
    {
        CommandLine relayed = CommandLine.Run("relay", $"file:{Capture}", $"file:{Arrived}", "--json");

        Assert.Equal((ExitCode.Done, ""), (relayed.ExitCode, relayed.Error));
        JsonElement result = Result(relayed.Out);
        Assert.Equal(
            ["status", "peer", "confirmed", "machine", "mode", "return-path", "total-time", "ram", "destination", "parameters"],
            result.EnumerateObject().Select(member => member.Name));
        Assert.Equal(("completed", true), (result.GetProperty("status").GetString(), result.GetProperty("confirmed").GetBoolean()));
        JsonElement destination = result.GetProperty("destination");
        Assert.Equal(
            ["peer", "uri", "mode", "return-path", "total-time", "setup-time", "ram"], destination.EnumerateObject().Select(member => member.Name));
        Assert.Equal($"file:{Arrived}", destination.GetProperty("uri").GetString());
        Assert.Equal(RamSize, destination.GetProperty("ram").GetProperty("transferred").GetInt32());
        Assert.Equal(0, CommandLine.Run("inspect", Arrived).ExitCode);
    }

    [Fact]
    public void People_are_told_both_ways_in_a_line()
    {
        CommandLine relayed = CommandLine.Run("relay", $"file:{Capture}", $"file:{Arrived}");

        Assert.Equal((ExitCode.Done, ""), (relayed.ExitCode, relayed.Out));
        Assert.Matches(
            @"completed: test from \S+vm\.qemu, 20 KiB of RAM in [\d.]+ s \(.*stream\), to \S+arrived in [\d.]+ s \(.*stream\); ", relayed.Error);
    }

    [Fact]
    public void A_destination_that_fails_ends_with_1_and_says_what_became_of_the_machine()
    {
        CommandLine lost = CommandLine.Run("relay", $"file:{Capture}", "exec:cat > /dev/null; exit 7", "--json");

        Assert.Equal(ExitCode.Failed, lost.ExitCode);
        JsonElement result = Result(lost.Out);
        Assert.Equal("failed", result.GetProperty("status").GetString());
        Assert.Contains("--rescue", result.GetProperty("error-desc").GetString(), StringComparison.Ordinal);
        Assert.False(result.TryGetProperty("file", out _));
    }

    [Fact]
    public void A_rescued_machine_is_named_and_can_be_read()
    {
        CommandLine rescued = CommandLine.Run("relay", $"file:{Capture}", "exec:cat > /dev/null; exit 7", "--json", "--rescue", $"{_directory.FullName}/");

        Assert.Equal(ExitCode.Failed, rescued.ExitCode);
        string file = Result(rescued.Out).GetProperty("file").GetString()!;
        Assert.StartsWith(Path.Combine(_directory.FullName, "test-"), file, StringComparison.Ordinal);
        Assert.Equal(0, CommandLine.Run("inspect", file).ExitCode);
    }

    [Theory]
    [InlineData("tcp:127.0.0.1:4444", "tcp:127.0.0.1:4444")]
    [InlineData("rdma:10.0.0.5:4444", "rdma:10.0.0.5:4444")]
    [InlineData("tcp:Host.example:4444", "tcp:host.example:4444")]
    [InlineData("tcp::4444", "tcp:127.0.0.1:4444")]
    [InlineData("tcp::4444", "tcp:[::1]:4444")]
    [InlineData("tcp::4444", "tcp:localhost:4444")]
    [InlineData("rdma:0.0.0.0:4444", "rdma:127.0.0.1:4444")]
    [InlineData("rdma::4444", "rdma:127.0.0.1:4444")]
    [InlineData("tcp:[::]:4444", "tcp:[::1]:4444")]
    [InlineData("tcp:localhost:4444", "tcp:127.0.0.1:4444")]
    [InlineData("unix:/run/vm.sock", "unix:/run/../run/vm.sock")]
    [InlineData("fd:7", "fd:7")]
    [InlineData("file:{capture}", "file:{capture}")]
    [InlineData("file:{capture}", "file:{link}")]
    [InlineData("file:{link}", "file:{capture},offset=1M")]
    public void A_relay_to_itself_is_a_usage_error_and_changes_nothing(string from, string to)
    {
        string link = Path.Combine(_directory.FullName, "link");
        Shell.HardLink(Capture, link);

        CommandLine relayed = CommandLine.Run("relay", Named(from), Named(to));

        Assert.Equal(ExitCode.Usage, relayed.ExitCode);
        Assert.Contains($"({MigrationUri.Parse(Named(from))})", relayed.Error, StringComparison.Ordinal);
        Assert.Contains($"({MigrationUri.Parse(Named(to))})", relayed.Error, StringComparison.Ordinal);
        Assert.Equal(StreamBuilder.SmallMachine(), File.ReadAllBytes(Capture));

        string Named(string uri) => uri.Replace("{capture}", Capture, StringComparison.Ordinal).Replace("{link}", link, StringComparison.Ordinal);
    }

    // 192.0.2.0/24 is for documentation: no host has it.
    [Theory]
    [InlineData("tcp::4444", "tcp:192.0.2.1:4444")]
    [InlineData("tcp:127.0.0.1:4444", "tcp:127.0.0.1:4445")]
    [InlineData("tcp:127.0.0.1:4444", "rdma:127.0.0.1:4444")]
    [InlineData("tcp:127.0.0.1:4444", "tcp:192.0.2.1:4444")]
    [InlineData("tcp:0.0.0.0:4444", "tcp:[::1]:4444")]
    [InlineData("rdma::4444", "rdma:[::1]:4444")]
    [InlineData("tcp:[::]:4444", "tcp:127.0.0.1:4444")]
    [InlineData("tcp::4444", "tcp:host.example:4444")]
    [InlineData("exec:nc host 4444", "exec:nc host 4444")]
    [InlineData("unix:/run/a.sock", "unix:/run/b.sock")]
    [InlineData("file:/dev/null", "file:/dev/null2")]
    public void A_relay_to_another_place_is_none_to_itself(string from, string to) =>
        Assert.False(RelayLoop.Closes(MigrationUri.Parse(from), MigrationUri.Parse(to)));

    [Fact]
    public void A_rescue_where_no_file_can_be_ends_with_3_before_a_machine_comes()
    {
        CommandLine absent = CommandLine.Run("relay", $"file:{Capture}", $"file:{Arrived}", "--rescue", $"{_directory.FullName}/absent/vm.qemu");

        Assert.Equal(ExitCode.HostCannot, absent.ExitCode);
        Assert.Contains("mkdir -p", absent.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(Arrived));
    }

    private static JsonElement Result(string output)
    {
        JsonElement last = JsonDocument.Parse(output.TrimEnd().Split('\n')[^1]).RootElement;
        Assert.Equal("RESULT", last.GetProperty("event").GetString());
        return last.GetProperty("data");
    }
}
