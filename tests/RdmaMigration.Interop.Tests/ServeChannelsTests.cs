using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig serve` and QEMU 10.0, which name where a migration goes with the argument "channels".</summary>
[Trait("needs", "qemu")]
public sealed class ServeChannelsTests : ReceiverTests
{
    private const string Release = "trixie";

    /// <summary>Values of "channels" that are refused, and other arguments of migrate and migrate-incoming.</summary>
    private static readonly string[] s_refused =
    [
        "{}",
        """{"channels":5}""",
        """{"channels":[]}""",
        """{"channels":[5]}""",
        """{"channels":[{}]}""",
        """{"channels":[{"channel-type":"main"}]}""",
        """{"channels":[{"addr":{"transport":"socket","type":"unix","path":"/dev/null"}}]}""",
        """{"channels":[{"channel-type":"no-such","addr":{"transport":"socket","type":"unix","path":"/dev/null"}}]}""",
        """{"channels":[{"channel-type":"main","addr":5}]}""",
        """{"channels":[{"channel-type":"main","addr":{}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"no-such"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"no-such"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"unix"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"unix","path":5}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"fd"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"inet"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"inet","host":"127.0.0.1"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"inet","host":"127.0.0.1","port":5}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"inet","host":"127.0.0.1","port":"5","ipv4":"yes"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"inet","host":"127.0.0.1","port":"5","no-such":1}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"rdma","host":"127.0.0.1"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"exec"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"exec","args":"cat"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"file","filename":"/dev/null"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"file","filename":"/dev/null","offset":"0"}}]}""",
        """{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"unix","path":"/dev/null"},"no-such":1}]}""",
        """
        {"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"unix","path":"/dev/null"}},
        {"channel-type":"main","addr":{"transport":"socket","type":"unix","path":"/dev/null"}}]}
        """,
        """{"uri":"unix:/dev/null","channels":[{"channel-type":"main","addr":{"transport":"socket","type":"unix","path":"/dev/null"}}]}""",
    ];

    /// <summary>The descriptors of the type fd are those of getfd: <see cref="ServeDescriptorTests"/> has them with a URI, which is read alike.</summary>
    [Theory]
    [InlineData("""{"transport":"socket","type":"inet","host":"127.0.0.1","port":"PORT"}""")]
    [InlineData("""{"transport":"socket","type":"unix","path":"SOCKET"}""")]
    public async Task A_machine_of_QEMU_10_moves_to_a_service_and_back_by_channels(string address)
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine(Release, "pc", 16));
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--profile", "10.0");
        await MoveAsync(source.Monitor, service.Monitor, address.Replace("SOCKET", Work.File("in"), StringComparison.Ordinal));

        await using QemuMachine arrived = await Restoration.StartLikeAsync(source, Work.File("arrived.ram"), Work, "arrived", async options =>
        {
            QemuMachine machine = await QemuMachine.StartAsync(options with { Incoming = "defer", Paused = true });
            await MoveAsync(service.Monitor, machine.Monitor, address.Replace("SOCKET", Work.File("out"), StringComparison.Ordinal));
            return machine;
        });
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    [Fact]
    public async Task A_machine_of_QEMU_10_moves_through_a_command_and_a_file_by_channels()
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine(Release, "pc", 16));
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--profile", "10.0");
        string pipe = await NewFifoAsync();
        await QmpMove.EnableAsync(service.Monitor, "events");
        int from = source.Monitor.Events.Count;
        await ExecuteAsync(service.Monitor, "migrate-incoming", $$"""{"transport":"exec","args":["/bin/cat","{{pipe}}"]}""");
        await ExecuteAsync(source.Monitor, "migrate", $$"""{"transport":"exec","args":["/bin/sh","-c","cat > '{{pipe}}'"]}""");
        Assert.Equal("completed", (await QmpMove.EndAsync(source.Monitor, from)).Status);
        Assert.Equal("completed", (await QmpMove.EndAsync(service.Monitor)).Status);

        string file = Work.File("sent");
        from = service.Monitor.Events.Count;
        await ExecuteAsync(service.Monitor, "migrate", $$"""{"transport":"file","filename":"{{file}}","offset":4096}""");
        Assert.Equal("completed", (await QmpMove.EndAsync(service.Monitor, from)).Status);
        await using QemuMachine arrived = await Restoration.StartLikeAsync(source, Work.File("arrived.ram"), Work, "arrived", async options =>
        {
            QemuMachine machine = await QemuMachine.StartAsync(options with { Incoming = "defer", Paused = true });
            await ExecuteAsync(machine.Monitor, "migrate-incoming", $$"""{"transport":"file","filename":"{{file}}","offset":4096}""");
            Assert.Equal("completed", (await QmpMove.EndAsync(machine.Monitor)).Status);
            return machine;
        });
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    [Theory]
    [InlineData("migrate")]
    [InlineData("migrate-incoming")]
    public async Task Channels_that_QEMU_10_refuses_a_service_refuses_with_the_same_words(string command)
    {
        string? incoming = command == "migrate" ? null : "defer";
        await using QemuMachine qemu = await QemuMachine.StartAsync(NewMachine(Release, "pc", 8) with { Incoming = incoming });
        await using ServeProcess service = await ServeProcess.StartAsync(
            [.. incoming is null ? (string[])[] : ["--incoming", incoming], "--profile", "10.0"]);

        List<string> expected = [];
        List<string> actual = [];
        foreach (string arguments in s_refused)
        {
            expected.Add($"{arguments}: {await RefuseAsync(qemu.Monitor, command, arguments)}");
            actual.Add($"{arguments}: {await RefuseAsync(service.Monitor, command, arguments)}");
        }

        string[] differences = [.. expected.Zip(actual).Where(pair => pair.First != pair.Second).Select(pair => $"{pair.First} | {pair.Second}")];
        Assert.True(differences.Length == 0, string.Join('\n', differences));
    }

    private static async Task<string> RefuseAsync(QmpClient monitor, string command, string arguments)
    {
        using JsonDocument document = JsonDocument.Parse(arguments);
        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => monitor.ExecuteAsync(command, document.RootElement));
        return $"{refused.ErrorClass}: {refused.Reason}";
    }

    /// <summary>Moves the machine from one monitor's process to the other's.</summary>
    private static async Task MoveAsync(QmpClient source, QmpClient destination, string address)
    {
        await QmpMove.EnableAsync(source, "events");
        await QmpMove.EnableAsync(destination, "events");
        int from = source.Events.Count;
        await ExecuteAsync(destination, "migrate-incoming", address.Replace("PORT", "0", StringComparison.Ordinal));
        JsonElement listening = (await destination.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        string port = listening.TryGetProperty("port", out JsonElement number) ? number.GetString()! : "";
        await ExecuteAsync(source, "migrate", address.Replace("PORT", port, StringComparison.Ordinal));
        Assert.Equal("completed", (await QmpMove.EndAsync(source, from)).Status);
        Assert.Equal("completed", (await QmpMove.EndAsync(destination)).Status);
    }

    private static async Task ExecuteAsync(QmpClient monitor, string command, string address)
    {
        using JsonDocument document = JsonDocument.Parse($$"""{"channels":[{"channel-type":"main","addr":{{address}}}]}""");
        await monitor.ExecuteAsync(command, document.RootElement);
    }
}
