using System.IO.Pipes;
using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;
using Tmds.Linux;

namespace RdmaMigration.Cli.Tests;

/// <summary><c>rdmamig send</c> from its command line to its exit code, over what needs no RDMA.</summary>
public sealed class SendCommandTests : IDisposable
{
    private const int RamSize = 5 * StreamBuilder.Page;

    private static readonly byte[] s_success = [0, 1, 0, 4, 0, 0, 0, 0];
    private static readonly byte[] s_failure = [0, 1, 0, 4, 0, 0, 0, 1];

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public SendCommandTests() => File.WriteAllBytes(Capture, StreamBuilder.SmallMachine());

    private string Capture => Path.Combine(_directory.FullName, "vm.qemu");

    private string SocketPath => Path.Combine(_directory.FullName, "socket");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_machine_that_the_destination_confirms_ends_with_0_and_a_RESULT_that_says_so()
    {
        CommandLine sent = SendToSocket(() => s_success, "--json");

        Assert.Equal((ExitCode.Done, ""), (sent.ExitCode, sent.Error));
        Assert.Equal(["setup", "active", "device", "completed"], Events(sent, "MIGRATION").Select(data => data.GetProperty("status").GetString()));
        JsonElement result = Result(sent);
        Assert.Equal(
            ["status", "peer", "confirmed", "uri", "file", "machine", "mode", "return-path", "total-time", "setup-time", "load-time", "ram", "parameters"],
            result.EnumerateObject().Select(member => member.Name));
        Assert.Equal(("completed", "stream", "test"), (Text(result, "status"), Text(result, "mode"), Text(result, "machine")));
        Assert.Equal((true, true), (result.GetProperty("confirmed").GetBoolean(), result.GetProperty("return-path").GetBoolean()));
        Assert.Equal((Capture, $"unix:{SocketPath}", $"unix:{SocketPath}"), (Text(result, "file"), Text(result, "uri"), Text(result, "peer")));
        Assert.InRange(result.GetProperty("setup-time").GetInt64(), 0, result.GetProperty("total-time").GetInt64());
        JsonElement ram = result.GetProperty("ram");
        Assert.Equal(["total", "transferred", "remaining", "zero", "mbps"], ram.EnumerateObject().Select(member => member.Name));
        Assert.Equal((RamSize, RamSize, 0), (Number(ram, "total"), Number(ram, "transferred"), Number(ram, "remaining")));
        Assert.Equal(2 * StreamBuilder.Page, Number(ram, "zero"));
    }

    [Fact]
    public void RESULT_has_the_parameters_in_effect_for_its_channel()
    {
        CommandLine sent = CommandLine.Run("send", Capture, "file:/dev/null", "--json", "--max-bandwidth", "1G", "--timeout", "1.5");

        // Not those of RDMA.
        Assert.Equal(
            """{"verify":false,"max-bandwidth":1073741824,"max-ram":null,"max-device-state":1073741824,"page-size":4096,"timeout":1.5,X}""".Replace(
                "X", "\"connect-timeout\":10,\"keepalive-interval\":5,\"answer-timeout\":60,\"confirm-timeout\":null", StringComparison.Ordinal),
            Result(sent).GetProperty("parameters").GetRawText());
    }

    [Fact]
    public void A_capability_that_the_machine_needs_is_named_before_it_is_sent()
    {
        File.WriteAllBytes(Capture, new StreamBuilder().Header().Configuration("test")
            .Subsection("configuration/capabilities").UInt32(1).Name("x-ignore-shared")
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).UInt64(StreamBuilder.Page | 4).Name("a").UInt64(StreamBuilder.Page).UInt64(0).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray());

        CommandLine sent = CommandLine.Run("send", Capture, "unix:/nonexistent");

        // Nobody is there, and still it is named.
        Assert.Equal(ExitCode.Failed, sent.ExitCode);
        string named = Assert.Single(sent.Error.Split('\n'), line => line.Contains("capability x-ignore-shared", StringComparison.Ordinal));
        Assert.Contains(Capture, named, StringComparison.Ordinal);
        Assert.InRange(
            sent.Error.IndexOf(named, StringComparison.Ordinal), 0, sent.Error.IndexOf("failed: ", StringComparison.Ordinal));
    }

    [Fact]
    public void A_pipe_completes_with_0_and_is_not_confirmed()
    {
        using AnonymousPipeServerStream destination = new(PipeDirection.In);

        CommandLine sent = CommandLine.Run("send", Capture, $"fd:{destination.GetClientHandleAsString()}", "--json");

        // The descriptor was rdmamig's, and is closed.
        destination.ClientSafePipeHandle.SetHandleAsInvalid();

        Assert.Equal(ExitCode.Done, sent.ExitCode);
        JsonElement result = Result(sent);
        Assert.Equal((false, false), (result.GetProperty("confirmed").GetBoolean(), result.GetProperty("return-path").GetBoolean()));
        using MemoryStream taken = new();
        destination.CopyTo(taken);
        Assert.True(taken.Length > 3 * StreamBuilder.Page);
    }

    [Fact]
    public void What_a_device_swallows_completes_with_0_and_is_not_confirmed()
    {
        CommandLine sent = CommandLine.Run("send", Capture, "file:/dev/null", "--json");

        Assert.Equal((ExitCode.Done, false), (sent.ExitCode, Result(sent).GetProperty("confirmed").GetBoolean()));
    }

    [Fact]
    public void What_a_file_then_holds_is_the_machine_and_is_confirmed()
    {
        string file = Path.Combine(_directory.FullName, "sent");

        CommandLine sent = CommandLine.Run("send", Capture, $"file:{file}", "--json");

        Assert.Equal((ExitCode.Done, true), (sent.ExitCode, Result(sent).GetProperty("confirmed").GetBoolean()));
        Assert.Equal(0, CommandLine.Run("inspect", file).ExitCode);
    }

    [Theory]
    [InlineData("vm.qemu", "vm.qemu")]
    [InlineData("vm.qemu", "vm.qemu,offset=1M")]
    [InlineData("vm.qemu", "symbolic")]
    [InlineData("symbolic", "vm.qemu")]
    [InlineData("vm.qemu", "hard")]
    public void A_file_is_not_sent_into_itself_by_whatever_name_and_stays_as_it_is(string file, string destination)
    {
        File.CreateSymbolicLink(Path.Combine(_directory.FullName, "symbolic"), "vm.qemu");
        Shell.HardLink(Capture, Path.Combine(_directory.FullName, "hard"));

        CommandLine sent = CommandLine.Run("send", Path.Combine(_directory.FullName, file), $"file:{_directory.FullName}/{destination}");

        Assert.Equal(ExitCode.Usage, sent.ExitCode);
        Assert.Contains("would be overwritten", sent.Error, StringComparison.Ordinal);
        Assert.Equal(StreamBuilder.SmallMachine(), File.ReadAllBytes(Capture));
    }

    [Fact]
    public void A_file_on_a_descriptor_is_not_sent_into_itself_either()
    {
        using FileStream open = new(Capture, FileMode.Open, FileAccess.ReadWrite);

        CommandLine sent = CommandLine.Run("send", Capture, $"fd:{open.SafeFileHandle.DangerousGetHandle()}");

        Assert.Equal(ExitCode.Usage, sent.ExitCode);
        Assert.Equal(StreamBuilder.SmallMachine(), File.ReadAllBytes(Capture));
    }

    [Fact]
    public void A_destination_that_refuses_ends_with_1_and_a_RESULT_that_says_why()
    {
        CommandLine sent = SendToSocket(() => s_failure, "--json");

        Assert.Equal(ExitCode.Failed, sent.ExitCode);
        JsonElement result = Result(sent);
        Assert.Equal(("failed", "Refused"), (Text(result, "status"), Text(result, "error-class")));
        Assert.Contains("SHUT 1", Text(result, "error-desc"), StringComparison.Ordinal);
        Assert.False(result.TryGetProperty("confirmed", out _));
        Assert.Equal((Capture, $"unix:{SocketPath}", "test"), (Text(result, "file"), Text(result, "uri"), Text(result, "machine")));
    }

    [Theory]
    [InlineData("vm.qemu", "Unreachable", "there is no socket")]
    [InlineData("absent", "Storage", "No such file")]
    [InlineData(".", "Storage", "Is a directory")]
    [InlineData("empty", "Stream", "cannot be read as a migration stream")]
    public void What_cannot_begin_ends_with_1_and_the_class_of_its_error(string file, string expected, string words)
    {
        File.WriteAllBytes(Path.Combine(_directory.FullName, "empty"), []);

        CommandLine sent = CommandLine.Run("send", Path.Combine(_directory.FullName, file), $"unix:{SocketPath}", "--json");

        Assert.Equal(ExitCode.Failed, sent.ExitCode);
        JsonElement result = Result(sent);
        Assert.Equal(("failed", expected), (Text(result, "status"), Text(result, "error-class")));
        Assert.Contains(words, Text(result, "error-desc"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_signal_ends_with_130_and_a_RESULT_of_a_cancelled_migration()
    {
        CommandLine sent = SendToSocket(
            () =>
            {
                Assert.Equal(0, LibC.kill(LibC.getpid(), LibC.SIGTERM));
                return null;
            },
            "--json");

        Assert.Equal(ExitCode.Cancelled, sent.ExitCode);
        JsonElement result = Result(sent);
        Assert.Equal(("cancelled", "Cancelled"), (Text(result, "status"), Text(result, "error-class")));
        Assert.Contains("did not confirm", Text(result, "error-desc"), StringComparison.Ordinal);
        Assert.False(result.TryGetProperty("confirmed", out _));
    }

    [Fact]
    public void A_timeout_ends_with_1_and_its_bound()
    {
        CommandLine sent = SendToSocket(() => null, "--json", "--timeout", "0.1");

        Assert.Equal((ExitCode.Failed, "Timeout"), (sent.ExitCode, Text(Result(sent), "error-class")));
        Assert.Contains("within 0.1 s", Text(Result(sent), "error-desc"), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_json_people_read_what_became_of_it_on_stderr_and_stdout_stays_empty()
    {
        CommandLine sent = SendToSocket(() => s_success);

        Assert.Equal((ExitCode.Done, ""), (sent.ExitCode, sent.Out));
        Assert.Contains($"sending {Capture} to unix:{SocketPath}\n", sent.Error, StringComparison.Ordinal);
        Assert.Matches(@"completed: test to unix:\S+, 20 KiB of RAM in \d\.\d\d s \(.*/s, stream\); confirmed by the destination\n$", sent.Error);
    }

    /// <summary>Sends the capture to a destination that takes all of it and says what is returned; for null it says nothing.</summary>
    private CommandLine SendToSocket(Func<byte[]?> end, params string[] options)
    {
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        listener.Listen();
        using ManualResetEventSlim over = new();
        Task destination = Task.Run(() =>
        {
            using Socket source = listener.Accept();
            byte[] taken = new byte[1 << 16];
            while (source.Receive(taken) > 0)
            {
            }

            if (end() is { } said)
            {
                source.Send(said);
            }
            else
            {
                over.Wait();
            }
        });
        CommandLine sent = CommandLine.Run(["send", Capture, $"unix:{SocketPath}", .. options]);
        over.Set();
        destination.GetAwaiter().GetResult();
        return sent;
    }

    private static JsonElement Result(CommandLine run) => Events(run, "RESULT").Single();

    private static IEnumerable<JsonElement> Events(CommandLine run, string name) => run.Out
        .Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Where(line => Text(line, "event") == name)
        .Select(line => line.GetProperty("data"));

    private static string? Text(JsonElement data, string name) => data.GetProperty(name).GetString();

    private static int Number(JsonElement data, string name) => data.GetProperty(name).GetInt32();
}
