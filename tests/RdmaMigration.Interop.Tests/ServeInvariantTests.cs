using System.IO.Pipes;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// What `rdmamig serve` promises of its end while a machine arrives, over every kind of channel. Invariant 4: a load that fails ends the process with 1, or
/// leaves it with the reason, as exit-on-error has it. Invariant 5: quit or SIGTERM ends it within 5 s at any moment of a load.
/// </summary>
public sealed class ServeInvariantTests : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    private readonly WorkDirectory _work = new();

    /// <summary>How much of the machine has come.</summary>
    public enum Moment
    {
        /// <summary>Nothing: the service waits, or has a connection without a byte.</summary>
        Nothing,

        /// <summary>The header.</summary>
        Header,

        /// <summary>A part of RAM.</summary>
        Ram,

        /// <summary>A part of the device.</summary>
        Device,

        /// <summary>All but the last byte.</summary>
        LastByte,
    }

    public static TheoryData<string, Moment, string> Loads
    {
        get
        {
            TheoryData<string, Moment, string> all = [];
            foreach (string kind in (string[])["tcp", "unix", "exec", "fd-socket", "fd-pipe", "file"])
            {
                foreach (Moment moment in Enum.GetValues<Moment>())
                {
                    // Each moment and kind once, and each end with each kind.
                    all.Add(kind, moment, (int)moment % 2 == 0 ? "TERM" : "quit");
                }
            }

            return all;
        }
    }

    public void Dispose() => _work.Dispose();

    [Theory]
    [MemberData(nameof(Loads))]
    public async Task Invariant_5_quit_and_SIGTERM_end_a_load_within_5_s(string kind, Moment moment, string how)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await using Stream source = await BeginAsync(service.Monitor, kind, exitOnError: true);
        await SendAsync(source, Sent(moment));

        await EndAsync(service, how);
    }

    [Theory]
    [Trait("needs", "rdma")]
    [InlineData(SmallMachine.Step.Connected, "TERM")]
    [InlineData(SmallMachine.Step.Announced, "quit")]
    [InlineData(SmallMachine.Step.Requested, "TERM")]
    [InlineData(SmallMachine.Step.HalfWritten, "TERM")]
    [InlineData(SmallMachine.Step.Written, "quit")]
    [InlineData(SmallMachine.Step.HalfDevice, "TERM")]
    public async Task Invariant_5_quit_and_SIGTERM_end_a_load_over_RDMA_within_5_s(SmallMachine.Step step, string how)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        string uri = RdmaAddress.NextUri();
        await QmpMove.ListenAsync(service.Monitor, uri);
        using RdmaSource source = RdmaSource.Connect(IPEndPoint.Parse(uri["rdma:".Length..]), RdmaSource.Dynamic);
        new SmallMachine(source, pinAll: false).RunTo(step);

        await EndAsync(service, how);
    }

    [Theory]
    [InlineData("tcp", true)]
    [InlineData("unix", true)]
    [InlineData("fd-socket", true)]
    [InlineData("fd-pipe", false)]
    [InlineData("exec", false)]
    [InlineData("file", false)]
    public async Task Invariant_4_a_failed_load_is_reported_and_ends_the_process_only_with_exit_on_error(string kind, bool hasReturnPath)
    {
        string reason;
        await using (ServeProcess stays = await ServeProcess.StartAsync("--incoming", "defer"))
        {
            await FailAsync(stays, kind, exitOnError: false, hasReturnPath);
            await QmpMove.EndAsync(stays.Monitor);
            reason = await ErrorAsync(stays);
            Assert.NotEmpty(reason);
            for (int i = 0; i < 3; i++)
            {
                Assert.Equal(("failed", reason), (await QmpMove.StatusAsync(stays.Monitor), await ErrorAsync(stays)));
            }
        }

        await using ServeProcess ends = await ServeProcess.StartAsync("--incoming", "defer");
        await FailAsync(ends, kind, exitOnError: true, hasReturnPath);
        Assert.Equal(1, await ends.Process.WaitForExitAsync(s_soon));
        Assert.Contains("section", reason, StringComparison.Ordinal);
        Assert.Contains("section", ends.Process.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public Task Invariant_4_a_source_has_SHUT_1_of_a_process_that_exits(string kind) =>
        ExitAfterShutAsync(kind is "tcp" ? "tcp:127.0.0.1:0" : $"unix:{_work.File("shut")}");

    [Fact]
    [Trait("needs", "rdma")]
    public Task Invariant_4_a_source_has_SHUT_1_of_a_process_that_exits_over_RDMA() => ExitAfterShutAsync(RdmaAddress.NextUri());

    /// <summary>A service that has no room for the guest refuses it, and exits.</summary>
    private static async Task ExitAfterShutAsync(string uri)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--max-ram", "1M");
        string to = await QmpMove.ListenAsync(service.Monitor, uri);
        await using RdmamigProcess source = RdmamigProcess.Guest(to, "--ram", "8M", "--dirty-rate", "1M", "--after", "0", "--for", "600");

        Assert.Equal(1, await service.Process.WaitForExitAsync(Deadlines.Migration));
        ReceiveResult failed = await source.ResultAsync();

        Assert.Contains("SHUT 1", failed.Error, StringComparison.Ordinal);
        Assert.Contains("max-ram", service.Process.Errors, StringComparison.Ordinal);
    }

    private static byte[] Sent(Moment moment)
    {
        byte[] all = StreamedMachine.All();
        return moment switch
        {
            Moment.Nothing => [],
            Moment.Header => all[..8],
            Moment.Ram => StreamedSource.Half(),
            Moment.Device => all[..^(StreamedMachine.End().Length - 10)],
            _ => all[..^1],
        };
    }

    private static async Task EndAsync(ServeProcess service, string how)
    {
        // Whatever was sent has been read.
        await Task.Delay(100, TestContext.Current.CancellationToken);
        if (how == "quit")
        {
            await service.Monitor.ExecuteAsync("quit");
        }
        else
        {
            await service.SignalAsync(how);
        }

        Assert.Equal(0, await service.Process.WaitForExitAsync(s_soon));
    }

    /// <summary>Sends a machine whose RAM is followed by no section.</summary>
    private async Task FailAsync(ServeProcess service, string kind, bool exitOnError, bool hasReturnPath)
    {
        await using Stream source = await BeginAsync(service.Monitor, kind, exitOnError);
        await SendAsync(source, StreamedMachine.Announcement(hasReturnPath));
        if (hasReturnPath)
        {
            Assert.Equal([0, 2, 0, 4, 0, 0, 0, 1], await NextAsync(source));
        }

        await SendAsync(source, [0xff, 0xff]);
        if (hasReturnPath)
        {
            Assert.Equal([0, 1, 0, 4, 0, 0, 0, 1], await NextAsync(source));
        }

        await QmpMove.EndAsync(service.Monitor);
    }

    private static Task SendAsync(Stream source, byte[] bytes) =>
        source.WriteAsync(bytes).AsTask().WaitAsync(Deadlines.Answer, TestContext.Current.CancellationToken);

    private static async Task<byte[]> NextAsync(Stream source)
    {
        byte[] message = new byte[8];
        await source.ReadExactlyAsync(message).AsTask().WaitAsync(Deadlines.Answer, TestContext.Current.CancellationToken);
        return message;
    }

    private static async Task<string> ErrorAsync(ServeProcess service) =>
        (await service.Monitor.ExecuteAsync("query-migrate")).GetProperty("error-desc").GetString()!;

    /// <summary>Has a service take a machine over a kind of channel.</summary>
    /// <returns>What the service reads.</returns>
    private async Task<Stream> BeginAsync(QmpClient monitor, string kind, bool exitOnError)
    {
        await QmpMove.EnableAsync(monitor, "events");
        switch (kind)
        {
            case "tcp":
                await ListenAsync("tcp:127.0.0.1:0");
                JsonElement address = (await monitor.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
                return new NetworkStream(await StreamedSource.ConnectAsync($"tcp:127.0.0.1:{address.GetProperty("port").GetString()}"), ownsSocket: true);
            case "unix":
                string path = _work.File($"in-{exitOnError}");
                await ListenAsync($"unix:{path}");
                return new NetworkStream(await StreamedSource.ConnectAsync($"unix:{path}"), ownsSocket: true);
            case "fd-socket":
                (Socket one, Socket other) = await PairAsync();
                using (other)
                {
                    await monitor.ExecuteAsync("getfd", new { fdname = "in" }, other.SafeHandle);
                }

                await ListenAsync("fd:in");
                return new NetworkStream(one, ownsSocket: true);
            case "fd-pipe":
                AnonymousPipeServerStream pipe = new(PipeDirection.Out);
                await monitor.ExecuteAsync("getfd", new { fdname = "in" }, pipe.ClientSafePipeHandle);
                pipe.DisposeLocalCopyOfClientHandle();
                await ListenAsync("fd:in");
                return pipe;
            default:
                string fifo = _work.File($"fifo-{exitOnError}");
                Assert.Equal(0, (await ChildProcess.RunAsync(Executables.OnPath("mkfifo", "coreutils"), fifo)).ExitCode);

                // Opened for both directions: neither end waits for the other.
                FileStream writer = new(fifo, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
                await ListenAsync(kind is "exec" ? $"exec:cat '{fifo}'" : $"file:{fifo}");
                return writer;
        }

        Task ListenAsync(string uri) =>
            monitor.ExecuteAsync("migrate-incoming", new Dictionary<string, object> { ["uri"] = uri, ["exit-on-error"] = exitOnError });
    }

    private async Task<(Socket One, Socket Other)> PairAsync()
    {
        using Socket listener = StreamedSource.ListenSilently(_work.File($"pair-{Guid.NewGuid():N}"));
        Socket one = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await one.ConnectAsync(listener.LocalEndPoint!);
        return (one, await listener.AcceptAsync());
    }
}
