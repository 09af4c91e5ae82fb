using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig serve` and the file descriptors that clients pass.</summary>
[Trait("needs", "qemu")]
public sealed class ServeDescriptorTests : ReceiverTests
{
    /// <summary>Each command, its arguments, and whether a descriptor comes with it.</summary>
    private static readonly (string Command, string Arguments, bool Passes)[] s_script =
    [
        ("getfd", """{"fdname":"one"}""", false),
        ("getfd", "{}", true),
        ("getfd", """{"fdname":"1x"}""", true),
        ("getfd", """{"fdname":5}""", true),
        ("getfd", """{"fdname":""}""", true),
        ("closefd", """{"fdname":"one"}""", false),
        ("getfd", """{"fdname":"one"}""", true),
        ("getfd", """{"fdname":"one"}""", true),
        ("closefd", """{"fdname":"one"}""", false),
        ("closefd", """{"fdname":"one"}""", false),
        ("query-fdsets", "{}", false),
        ("add-fd", "{}", false),
        ("add-fd", """{"fdset-id":-1}""", true),
        ("add-fd", """{"fdset-id":"x"}""", true),
        ("add-fd", """{"opaque":5}""", true),
        ("add-fd", """{"fdset-id":7,"opaque":"seven"}""", true),
        ("add-fd", "{}", true),
        ("add-fd", """{"fdset-id":7}""", true),
        ("add-fd", """{"opaque":"one"}""", true),
        ("query-fdsets", "{}", false),
        ("remove-fd", "{}", false),
        ("remove-fd", """{"fdset-id":9}""", false),
        ("remove-fd", """{"fdset-id":7,"fd":9999}""", false),
        ("remove-fd", """{"fdset-id":-1}""", false),
        ("remove-fd", """{"fdset-id":7,"x":1}""", false),
        ("remove-fd", """{"fdset-id":0}""", false),
        ("query-fdsets", "{}", false),
        ("add-fd", "{}", true),
    ];

    [Fact]
    public async Task Commands_answer_as_QEMU_answers_them()
    {
        // QEMU removes descriptors only while the machine runs.
        await using QemuMachine qemu = await QemuMachine.StartAsync(NewMachine("pc", 16) with { Paused = false });
        await using ServeProcess service = await ServeProcess.StartAsync("--profile", "7.2");
        string[] expected = await AnswersAsync(qemu.Monitor);
        string[] answered = await AnswersAsync(service.Monitor);

        Assert.Equal(expected, answered);
        Assert.Contains("7 [{seven} ]", expected[19], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_machine_goes_to_a_QEMU_over_a_connection_that_the_client_made()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        (Socket one, Socket other) = await ConnectAsync();
        using (one)
        using (other)
        {
            await source.Monitor.ExecuteAsync("getfd", new { fdname = "migrate" }, one.SafeHandle);
            await service.Monitor.ExecuteAsync("getfd", new { fdname = "in" }, other.SafeHandle);
        }

        await QmpMove.EnableAsync(service.Monitor, "events");
        await QmpMove.ListenAsync(service.Monitor, "fd:in");
        await QmpMove.SendAsync(source.Monitor, "fd:migrate");
        Assert.Equal("completed", (await QmpMove.EndAsync(service.Monitor)).Status);
        await using QemuMachine arrived = await Restoration.StartLikeAsync(
            source, Work.File("arrived.ram"), Work, "arrived", options => QemuMachine.TakeAsync(options, "tcp:127.0.0.1:0", async uri =>
            {
                Socket toDestination = new(SocketType.Stream, ProtocolType.Tcp);
                await toDestination.ConnectAsync(IPEndPoint.Parse(uri["tcp:".Length..]));
                await service.Monitor.ExecuteAsync("getfd", new { fdname = "migrate" }, toDestination.SafeHandle);
                toDestination.Dispose();
                await QmpMove.SendAsync(service.Monitor, "fd:migrate", "return-path");
            }));

        await Restoration.HasArrivedAsync(source, arrived, Work);
        QmpException gone = await Assert.ThrowsAsync<QmpException>(
            () => service.Monitor.ExecuteAsync("closefd", new { fdname = "migrate" }));
        Assert.Equal("GenericError", gone.ErrorClass);
    }

    /// <summary>As libvirt saves a machine to a file: the file's first bytes are its own.</summary>
    [Fact]
    public async Task A_machine_is_saved_to_a_file_of_a_descriptor_set_and_taken_from_one()
    {
        const long Header = 4096;
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using ServeProcess first = await ServeProcess.StartAsync("--incoming", "defer");
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.RunAsync(source.Monitor, first.Monitor, "tcp:127.0.0.1:0");
        string file = Work.File("saved");
        byte[] header = new byte[Header];
        Random.Shared.NextBytes(header);
        await File.WriteAllBytesAsync(file, [.. header, .. new byte[100]]);
        using (SafeFileHandle writer = File.OpenHandle(file, FileMode.Open, FileAccess.Write))
        {
            await first.Monitor.ExecuteAsync("add-fd", new Dictionary<string, object> { ["fdset-id"] = 3 }, writer);
        }

        await QmpMove.SendAsync(first.Monitor, "file:/dev/fdset/3,offset=0x1000");
        Assert.Equal(header, (await File.ReadAllBytesAsync(file))[..(int)Header]);
        Assert.Equal(1, (await first.Monitor.ExecuteAsync("query-fdsets")).GetArrayLength());
        using (SafeFileHandle reader = File.OpenHandle(file))
        {
            await second.Monitor.ExecuteAsync("add-fd", new Dictionary<string, object> { ["fdset-id"] = 0 }, reader);
        }

        await QmpMove.EnableAsync(second.Monitor, "events");
        await second.Monitor.ExecuteAsync("migrate-incoming", new { uri = $"file:/dev/fdset/0,offset={Header}" });
        Assert.Equal("completed", (await QmpMove.EndAsync(second.Monitor)).Status);
        await using QemuMachine arrived = await Restoration.StartLikeAsync(source, Work.File("arrived.ram"), Work, "arrived", options =>
            QemuMachine.TakeAsync(options, "tcp:127.0.0.1:0", uri => QmpMove.SendAsync(second.Monitor, uri)));
        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    [Theory]
    [InlineData("fd:nosuch")]
    [InlineData("file:/dev/fdset/4")]
    [InlineData("file:/dev/fdset/5")]
    public async Task Migrate_fails_without_a_descriptor_for_writing(string uri)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 8);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.RunAsync(source.Monitor, service.Monitor, "tcp:127.0.0.1:0");
        using (SafeFileHandle reader = File.OpenHandle("/dev/null"))
        {
            await service.Monitor.ExecuteAsync("add-fd", new Dictionary<string, object> { ["fdset-id"] = 5 }, reader);
        }

        QmpException failed = await Assert.ThrowsAsync<QmpException>(() => service.Monitor.ExecuteAsync("migrate", new { uri }));
        Assert.Equal("GenericError", failed.ErrorClass);
        Assert.Equal("completed", await QmpMove.StatusAsync(service.Monitor));
    }

    /// <summary>libvirt opens the monitor's socket and passes it to the emulator that it starts.</summary>
    [Fact]
    public async Task A_monitor_is_served_at_a_socket_that_the_process_inherits()
    {
        const int Inherited = 240;
        string path = Work.File("qmp");
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        using Socket client = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(path));
        _ = Descriptor.DuplicateOnto((int)listener.Handle, Inherited).OrThrow("dup2");
        await using ChildProcess process = ChildProcess.Start(
            "rdmamig serve", Executables.Rdmamig, ["serve", "--qmp", $"fd:{Inherited}", "--incoming", "defer"]);
        _ = Descriptor.Close(Inherited);

        await using QmpClient monitor = await QmpClient.OpenAsync(client);
        Assert.Equal("inmigrate", await QmpMove.RunStateAsync(monitor));
        await monitor.ExecuteAsync("quit");
        Assert.Equal(0, await process.WaitForExitAsync(Deadlines.Answer));
    }

    private static async Task<string[]> AnswersAsync(QmpClient monitor)
    {
        using SafeFileHandle file = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite);
        List<string> answers = [];
        foreach ((string command, string arguments, bool passes) in s_script)
        {
            using JsonDocument document = JsonDocument.Parse(arguments);
            string answer;
            try
            {
                answer = Describe(await monitor.ExecuteAsync(command, document.RootElement, passes ? file : null));
            }
            catch (QmpException refused)
            {
                answer = $"{refused.ErrorClass}: {refused.Reason}";
            }

            answers.Add($"{command} {arguments} {answer}");
        }

        return [.. answers];
    }

    /// <summary>A reply without the numbers of descriptors, which the process chooses.</summary>
    private static string Describe(JsonElement reply) => reply.ValueKind switch
    {
        JsonValueKind.Array => string.Join(' ', reply.EnumerateArray().Select(Set)),
        _ => string.Join(' ', reply.EnumerateObject().Select(member => member.Name == "fd" ? "fd" : $"{member}").Order(StringComparer.Ordinal)),
    };

    private static string Set(JsonElement set) =>
        $"{set.GetProperty("fdset-id")} [{string.Join(' ', set.GetProperty("fds").EnumerateArray().Select(Opaque))}]";

    private static string Opaque(JsonElement descriptor) => descriptor.TryGetProperty("opaque", out JsonElement opaque) ? $"{{{opaque}}}" : "";

    private static async Task<(Socket One, Socket Other)> ConnectAsync()
    {
        using Socket listener = new(SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        listener.Listen();
        Socket one = new(SocketType.Stream, ProtocolType.Tcp);
        await one.ConnectAsync(listener.LocalEndPoint!);
        return (one, await listener.AcceptAsync());
    }
}
