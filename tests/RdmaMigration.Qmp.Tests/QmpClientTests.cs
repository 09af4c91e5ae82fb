using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using RdmaMigration.Linux;
using RdmaMigration.Qmp.Client;
using RdmaMigration.Testing;

namespace RdmaMigration.Qmp.Tests;

/// <summary>The client, against this room's server and against peers that are none.</summary>
public sealed class QmpClientTests : IDisposable
{
    private const string Greeting = """{"QMP": {"version": {"qemu": {"micro": 3, "minor": 1, "major": 11}, "package": ""}, "capabilities": []}}""";

    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(200);

    /// <summary>For an answer: that to qmp_capabilities comes within it, also on a busy host.</summary>
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    private readonly WorkDirectory _work = new();

    private string Path => _work.File("qmp");

    public void Dispose() => _work.Dispose();

    [Fact]
    public async Task Commands_of_several_tasks_get_the_answers_to_their_ids()
    {
        await using RunningMonitor monitor = new();
        await using Client.QmpClient client = await ConnectAsync(monitor.Path);

        JsonElement[] answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => client.ExecuteAsync("query-status")));

        Assert.Equal("0.1.0", client.Version);
        Assert.All(answers, answer => Assert.Equal("prelaunch", answer.GetProperty("status").GetString()));
    }

    [Fact]
    public async Task An_error_has_the_class_and_the_connection_goes_on()
    {
        await using RunningMonitor monitor = new();
        await using Client.QmpClient client = await ConnectAsync(monitor.Path);

        QmpCommandException refused = await Assert.ThrowsAsync<QmpCommandException>(() => client.ExecuteAsync("no-such-command"));

        Assert.Equal((QmpCommandException.NotFound, "no-such-command", monitor.Path), (refused.ErrorClass, refused.Command, refused.Path));
        Assert.Equal(JsonValueKind.Object, (await client.ExecuteAsync("query-status")).ValueKind);
    }

    [Theory]
    [InlineData("QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ", "QEMU 7.2.22 monitor")]
    [InlineData("[1,2]\n", "[1,2]")]
    [InlineData("\u0001no line", ".no line")]
    public async Task A_peer_that_is_no_monitor_is_named_with_what_it_sent(string sent, string shown)
    {
        Task serving = ServeAsync(async peer =>
        {
            await SendAsync(peer, sent);
            peer.Shutdown(SocketShutdown.Send);
        });

        QmpClientException wrong = await Assert.ThrowsAsync<QmpClientException>(() => ConnectAsync(Path));

        Assert.Equal((FailureReason.Protocol, Path, "greeting"), (wrong.Reason, wrong.Path, wrong.Step));
        Assert.Contains(Path, wrong.Message, StringComparison.Ordinal);
        Assert.Contains(shown, wrong.Message, StringComparison.Ordinal);
        await serving;
    }

    [Fact]
    public async Task A_monitor_that_does_not_greet_is_a_timeout()
    {
        Task serving = ServeAsync(_ => Task.CompletedTask);

        QmpClientException silent = await Assert.ThrowsAsync<QmpClientException>(() => ConnectAsync(Path, greeting: s_short));

        Assert.Equal((FailureReason.Timeout, "greeting"), (silent.Reason, silent.Step));
        await serving;
    }

    [Theory]
    [InlineData(false, "no such file")]
    [InlineData(true, "not a socket")]
    public async Task A_path_without_a_socket_cannot_be_connected_to(bool isFile, string reason)
    {
        if (isFile)
        {
            await File.WriteAllTextAsync(Path, "");
        }

        QmpClientException absent = await Assert.ThrowsAsync<QmpClientException>(() => ConnectAsync(Path));

        Assert.Equal((FailureReason.Unreachable, "connect"), (absent.Reason, absent.Step));
        Assert.Contains(reason, absent.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_command_that_is_not_answered_is_a_timeout_that_names_it()
    {
        Task serving = NegotiateAsync(_ => Task.CompletedTask);
        await using Client.QmpClient client = await ConnectAsync(Path, answer: s_second);

        QmpClientException late = await Assert.ThrowsAsync<QmpClientException>(() => client.ExecuteAsync("query-migrate"));

        Assert.Equal((FailureReason.Timeout, "query-migrate"), (late.Reason, late.Step));
        await client.DisposeAsync();
        await serving;
    }

    [Theory]
    [InlineData("", FailureReason.Disconnected)]
    [InlineData("nonsense\n", FailureReason.Protocol)]
    public async Task A_lost_connection_ends_a_waiting_command_and_the_events(string last, FailureReason reason)
    {
        Task serving = NegotiateAsync(async peer =>
        {
            await peer.ReceiveAsync(new byte[1024], SocketFlags.None);
            await SendAsync(peer, last);
            peer.Shutdown(SocketShutdown.Both);
        });
        await using Client.QmpClient client = await ConnectAsync(Path);

        QmpClientException lost = await Assert.ThrowsAsync<QmpClientException>(() => client.ExecuteAsync("query-migrate"));

        Assert.Equal((reason, "query-migrate"), (lost.Reason, lost.Step));
        Assert.Equal(reason, (await Assert.ThrowsAsync<QmpClientException>(() => client.Events.Completion)).Reason);
        await client.DisposeAsync();
        await serving;
    }

    [Fact]
    public async Task Events_that_nobody_reads_are_bounded_and_the_latest_stay()
    {
        const int count = 3 * Client.QmpClient.MaximumEvents;
        Task serving = NegotiateAsync(async peer =>
        {
            for (int i = 0; i < count; i++)
            {
                await SendAsync(peer, "{\"event\": \"MIGRATION_PASS\", \"data\": {\"status\": \"" + i + "\"}}\r\n");
            }

            peer.Shutdown(SocketShutdown.Both);
        });
        await using Client.QmpClient client = await ConnectAsync(Path);
        await Assert.ThrowsAsync<QmpClientException>(() => client.ExecuteAsync("query-migrate"));

        List<string?> kept = [];
        while (client.Events.TryRead(out Client.QmpEvent seen))
        {
            kept.Add(seen.Status);
        }

        Assert.Equal((Client.QmpClient.MaximumEvents, $"{count - 1}"), (kept.Count, kept[^1]));
        await client.DisposeAsync();
        await serving;
    }

    private static Task<Client.QmpClient> ConnectAsync(string path, TimeSpan? greeting = null, TimeSpan? answer = null) =>
        Client.QmpClient.ConnectAsync(path, greeting ?? Deadlines.Answer, answer ?? Deadlines.Answer, CancellationToken.None);

    private static async Task SendAsync(Socket peer, string text) => await peer.SendAsync(Encoding.UTF8.GetBytes(text));

    /// <summary>A peer that greets, accepts the negotiation, and does <paramref name="then"/>.</summary>
    private Task NegotiateAsync(Func<Socket, Task> then) => ServeAsync(async peer =>
    {
        await SendAsync(peer, Greeting + "\r\n");
        await peer.ReceiveAsync(new byte[1024], SocketFlags.None);
        await SendAsync(peer, """{"return": {}, "id": 1}""" + "\r\n");
        await then(peer);
    });

    /// <summary>A peer for one client. It stays until the client has gone.</summary>
    private Task ServeAsync(Func<Socket, Task> serve)
    {
        Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(Path));
        listener.Listen();
        return Task.Run(async () =>
        {
            using (listener)
            using (Socket peer = await listener.AcceptAsync())
            {
                await serve(peer);
                while (await peer.ReceiveAsync(new byte[1024], SocketFlags.None) > 0)
                {
                }
            }
        });
    }
}
