using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>`rdmamig serve` as a service: settings, notifications, who may connect, SIGTERM at any moment, and what 200 migrations leave behind.</summary>
public sealed class ServiceTests : IDisposable
{
    private const int Rounds = 50;
    private const int WarmUp = 10;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    private readonly WorkDirectory _work = new();

    public void Dispose() => _work.Dispose();

    [Fact]
    public async Task Systemd_gets_ready_status_with_percentage_beats_and_stopping()
    {
        string path = _work.File("in");
        using Socket systemd = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        systemd.Bind(new UnixDomainSocketEndPoint(_work.File("notify")));
        await using ServeProcess service = await ServeProcess.StartInAsync(
            [$"NOTIFY_SOCKET={_work.File("notify")}", "WATCHDOG_USEC=400000"], "--incoming", $"unix:{path}");

        Assert.Equal("READY=1", await ReceiveAsync(systemd));
        Assert.Equal($"STATUS=Listening on unix:{path}", await ReceiveAsync(systemd));
        await UntilAsync(systemd, state => state == "WATCHDOG=1");
        await UntilAsync(systemd, state => state == "WATCHDOG=1");
        using (Socket source = await StreamedSource.BeginAsync(path, StreamedSource.Half()))
        {
            await UntilAsync(systemd, state => Regex.IsMatch(state, "^STATUS=Receiving from .*: ram [1-9][0-9]?%$"));
            byte[] all = StreamedMachine.All();
            await source.SendAsync(all[(all.Length / 2)..]);
            source.Shutdown(SocketShutdown.Send);
            await UntilAsync(systemd, state => Regex.IsMatch(state, "^STATUS=Receiving from .*: completed$"));
        }

        await service.SignalAsync("TERM");
        await UntilAsync(systemd, state => state == "STOPPING=1");
        Assert.Equal(0, await service.Process.WaitForExitAsync(s_soon));
    }

    [Fact]
    public async Task A_file_and_the_environment_configure_a_service()
    {
        await File.WriteAllTextAsync(_work.File("vm.conf"), $"name = from-file\nincoming = unix:{_work.File("in")}\nmax-ram = 1M\n");

        await using ServeProcess service = await ServeProcess.StartInAsync(["RDMAMIG_SERVE_NAME=from-environment"], "--config", _work.File("vm.conf"));

        Assert.Equal("from-environment", (await service.Monitor.ExecuteAsync("query-name")).GetProperty("name").GetString());
        Assert.Equal("inmigrate", await QmpMove.RunStateAsync(service.Monitor));
        using Socket source = await StreamedSource.BeginAsync(_work.File("in"), StreamedMachine.Announcement(returnPath: false));
        Assert.Equal(1, await service.Process.WaitForExitAsync(s_soon));
    }

    [Theory]
    [InlineData("idle")]
    [InlineData("waiting")]
    [InlineData("receiving")]
    [InlineData("kept")]
    [InlineData("sending")]
    public async Task SIGTERM_ends_a_service_with_0_at_any_moment(string moment)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        using Socket silent = StreamedSource.ListenSilently(_work.File("out"));
        using Socket? source = await ReachAsync(service.Monitor, moment);

        await service.SignalAsync("TERM");

        Assert.Equal(0, await service.Process.WaitForExitAsync(s_soon));
    }

    [Theory]
    [InlineData("127.0.0.1", "10.0.0.0/8, fd00::/8", false)]
    [InlineData("127.0.0.1", "10.0.0.0/8, 127.0.0.0/8", true)]
    [InlineData("[::1]", "10.0.0.0/8, fd00::/8", false)]
    [InlineData("[::1]", "::1/128", true)]
    public async Task A_service_admits_sources_of_its_networks_only(string host, string allow, bool isAdmitted)
    {
        await using ServeProcess service = await ServeProcess.StartInAsync([$"RDMAMIG_SERVE_ALLOW={allow}"], "--incoming", "defer");
        await QmpMove.EnableAsync(service.Monitor, "events");
        string uri = await QmpMove.ListenAsync(service.Monitor, $"tcp:{host}:0");
        using TcpClient source = new(host.Trim('[', ']'), int.Parse(uri[(uri.LastIndexOf(':') + 1)..], CultureInfo.InvariantCulture));
        if (isAdmitted)
        {
            await source.GetStream().WriteAsync(StreamedMachine.Announcement(returnPath: false));
            await service.Monitor.Events.FirstAsync(said => said.Status == "active", 0, s_soon, "active");
        }
        else
        {
            await IsClosedAsync(source.Client);
            Assert.Equal("inmigrate", await QmpMove.RunStateAsync(service.Monitor));
        }

        await service.SignalAsync("TERM");
        Assert.Equal(0, await service.Process.WaitForExitAsync(s_soon));
        Assert.Equal(!isAdmitted, service.Process.Errors.Contains("is not in the allowed networks", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_second_source_is_refused_while_a_migration_runs_which_completes()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        using Socket? first = await ReachAsync(service.Monitor, "receiving");
        byte[] all = StreamedMachine.All();

        try
        {
            using Socket second = await StreamedSource.BeginAsync(_work.File("in"), []);
            await IsClosedAsync(second);
        }
        catch (SocketException absent) when (absent.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.ConnectionRefused)
        {
            // The service has stopped listening already: it takes one machine.
        }

        await first!.SendAsync(all[(all.Length / 2)..]);
        first.Shutdown(SocketShutdown.Send);
        Assert.Equal("completed", (await QmpMove.EndAsync(service.Monitor)).Status);
    }

    [Theory]
    [InlineData("tcp:127.0.0.1:0")]
    [InlineData("unix:")]
    public async Task A_second_source_that_begins_before_RAM_is_refused_with_a_logged_reason(string uri)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.EnableAsync(service.Monitor, "events");
        string at = await QmpMove.ListenAsync(service.Monitor, uri == "unix:" ? uri + _work.File("in") : uri);
        using Socket first = await StreamedSource.ConnectAsync(at);
        byte[] configuration = StreamedMachine.Configuration(returnPath: false);
        await first.SendAsync(configuration);
        await service.Monitor.Events.FirstAsync(said => said.Status == "active", 0, s_soon, "active");

        using Socket second = await StreamedSource.ConnectAsync(at);
        await second.SendAsync(configuration);
        await IsClosedAsync(second);

        await first.SendAsync(StreamedMachine.All().AsMemory(configuration.Length));
        first.Shutdown(SocketShutdown.Send);
        Assert.Equal("completed", (await QmpMove.EndAsync(service.Monitor)).Status);
        await service.SignalAsync("TERM");
        Assert.Equal(0, await service.Process.WaitForExitAsync(s_soon));
        Assert.Single(Regex.Matches(service.Process.Errors, "rejected .*: another migration is running, and this process receives only one machine"));
    }

    [Fact]
    public async Task Two_hundred_migrations_of_which_half_do_not_complete_leave_nothing_behind()
    {
        // 4 MiB (hexadecimal): garbage that was not collected yet would hide a leak.
        await using ServeProcess service = await ServeProcess.StartInAsync(["DOTNET_GCgen0size=400000"], "--incoming", "defer");
        await using ServeProcess next = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.EnableAsync(service.Monitor, "events");
        await QmpMove.EnableAsync(next.Monitor, "events");
        using Socket silent = StreamedSource.ListenSilently(_work.File("out"));
        ProcessFootprint? before = null;
        long residentBefore = 0;
        for (int round = 1; round <= Rounds; round++)
        {
            await MoveAsync(service.Monitor, next.Monitor, silent);
            if (round == WarmUp)
            {
                before = ProcessFootprint.Of(service.Process.Id);
                residentBefore = ProcessFootprint.Bytes(service.Process.Id, "VmRSS");
            }
        }

        ProcessFootprint after = ProcessFootprint.Of(service.Process.Id);
        long resident = ProcessFootprint.Bytes(service.Process.Id, "VmRSS");
        TestContext.Current.TestOutputHelper?.WriteLine($"after {4 * WarmUp}: {before}, {residentBefore}; after {4 * Rounds}: {after}, {resident}");
        Assert.Equal((before!.Files, before.RamMappings, before.MigrationThreads), (after.Files, after.RamMappings, after.MigrationThreads));
        Assert.DoesNotContain(OpenFiles.Names(service.Process.Id), name => name.Contains("memfd:rdmamig", StringComparison.Ordinal));

        // The thread pool and the collector breathe; a leak of one a migration is 160 of each, of a machine's RAM 4 MiB each.
        Assert.InRange(after.Threads, 0, before.Threads + 16);
        Assert.InRange(after.Mappings, 0, before.Mappings + 80);
        Assert.InRange(resident, 0, residentBefore + (16 << 20));
    }

    /// <summary>A migration that fails, one that arrives, one that is cancelled, one to the next service; then both drop the machine.</summary>
    private async Task MoveAsync(QmpClient service, QmpClient next, Socket silent)
    {
        int from = service.Events.Count;
        await service.ExecuteAsync(
            "migrate-incoming", new Dictionary<string, object> { ["uri"] = $"unix:{_work.File("in")}", ["exit-on-error"] = false });
        await StreamedSource.SendAsync(_work.File("in"), StreamedSource.Half());
        Assert.Equal("failed", (await QmpMove.EndAsync(service, from)).Status);

        from = service.Events.Count;
        await StreamedSource.SendAsync(_work.File("in"), StreamedMachine.All());
        Assert.Equal("completed", (await QmpMove.EndAsync(service, from)).Status);

        from = service.Events.Count;
        await service.ExecuteAsync("migrate", new { uri = $"unix:{_work.File("out")}" });
        using (await silent.AcceptAsync())
        {
            await service.Events.FirstAsync(said => said.Status == "active", from, s_soon, "active");
            await service.ExecuteAsync("migrate_cancel");
            Assert.Equal("cancelled", (await QmpMove.EndAsync(service, from)).Status);
        }

        (from, int fromNext) = (service.Events.Count, next.Events.Count);
        await next.ExecuteAsync("migrate-incoming", new { uri = $"unix:{_work.File("next")}" });
        await service.ExecuteAsync("migrate", new { uri = $"unix:{_work.File("next")}" });
        Assert.Equal("completed", (await QmpMove.EndAsync(service, from)).Status);
        Assert.Equal("completed", (await QmpMove.EndAsync(next, fromNext)).Status);
        await service.ExecuteAsync("x-rdmamig-drop");
        await next.ExecuteAsync("x-rdmamig-drop");
    }

    /// <summary>Brings a service to a moment. Returns the source's connection while the machine arrives.</summary>
    private async Task<Socket?> ReachAsync(QmpClient monitor, string moment)
    {
        if (moment == "idle")
        {
            return null;
        }

        await QmpMove.EnableAsync(monitor, "events");
        await QmpMove.ListenAsync(monitor, $"unix:{_work.File("in")}");
        if (moment == "waiting")
        {
            return null;
        }

        int from = monitor.Events.Count;
        if (moment == "receiving")
        {
            Socket source = await StreamedSource.BeginAsync(_work.File("in"), StreamedSource.Half());
            await monitor.Events.FirstAsync(said => said.Status == "active", from, s_soon, "active");
            return source;
        }

        await StreamedSource.SendAsync(_work.File("in"), StreamedMachine.All());
        Assert.Equal("completed", (await QmpMove.EndAsync(monitor, from)).Status);
        if (moment == "sending")
        {
            from = monitor.Events.Count;
            await monitor.ExecuteAsync("migrate", new { uri = $"unix:{_work.File("out")}" });
            await monitor.Events.FirstAsync(said => said.Status == "active", from, s_soon, "active");
        }

        return null;
    }

    /// <summary>The other side closed or reset the connection without sending anything.</summary>
    private static async Task IsClosedAsync(Socket source)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        try
        {
            Assert.Equal(0, await source.ReceiveAsync(new byte[1], SocketFlags.None, deadline.Token));
        }
        catch (SocketException reset) when (reset.SocketErrorCode is SocketError.ConnectionReset)
        {
            // A reset is a close that does not wait.
        }
    }

    private static async Task UntilAsync(Socket systemd, Func<string, bool> isAwaited)
    {
        while (!isAwaited(await ReceiveAsync(systemd)))
        {
        }
    }

    private static async Task<string> ReceiveAsync(Socket systemd)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        byte[] datagram = new byte[4096];
        return Encoding.UTF8.GetString(datagram, 0, await systemd.ReceiveAsync(datagram, SocketFlags.None, deadline.Token));
    }
}
