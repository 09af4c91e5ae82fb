using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>TLS between a real QEMU with tls-creds-x509 and rdmamig, in both directions, and the refusals of either.</summary>
[Trait("needs", "qemu")]
public sealed class TlsTests : ReceiverTests
{
    private const string Anywhere = "tcp:127.0.0.1:0";

    private readonly TlsAuthority _authority;
    private readonly string _files;

    public TlsTests()
    {
        _authority = new TlsAuthority(Work);
        _files = _authority.Issue();
    }

    [Theory]
    [InlineData("pc", false)]
    [InlineData("q35", true)]
    public async Task A_machine_arrives_identical_from_QEMU_over_TLS(string machineType, bool returnPath)
    {
        await using QemuMachine source = await StartSourceAsync(machineType, 64);
        await source.SetCapabilitiesAsync(("return-path", returnPath));
        await UseTlsAsync(source, _files, "client");
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(
            Anywhere, file, ["--once", "--tls-creds", _files, "--tls-authz", "CN=source,O=Tests"]);

        (_, ReceiveResult result) = await receiver.TakeAsync(source);

        Assert.Equal(returnPath, result.ReturnPath);
        await Restoration.IsIdenticalAsync(source, file, Work);
    }

    [Fact]
    public async Task QEMU_has_the_machine_that_was_sent_over_TLS_and_says_so()
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 64);
        await using (source)
        {
            await Restoration.IsIdenticalAsync(source, capture, Work, options => TakeWithTlsAsync(options, _files, uri => SendAsync(
                capture, uri, "stream", confirmed: true, returnPath: true, options: ["--tls-creds", _files])));
        }
    }

    [Fact]
    public async Task A_machine_goes_over_TLS_through_a_relay_and_the_second_file_is_the_first()
    {
        (QemuMachine source, string first) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 32);
        await source.DisposeAsync();
        string second = Work.File("second");
        string[] tls = ["--tls-creds", _files];
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(Anywhere, second, ["--once", .. tls]);
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync(Anywhere, receiver.Uri, ["--once", .. tls]);

        await SendAsync(first, relay.Uri, "stream", confirmed: true, returnPath: true, options: tls);

        Assert.True((await receiver.ResultAsync()).Completed);
        Assert.Equal(File.ReadAllBytes(first), File.ReadAllBytes(second));
    }

    [Fact]
    public async Task A_service_takes_and_sends_a_machine_over_TLS_by_QEMUs_commands()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await UseTlsAsync(source, _files, "client");
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await UseTlsAsync(service.Monitor, _files, "server", id: "in");
        await service.Monitor.ExecuteAsync("object-add", Members(("qom-type", "authz-simple"), ("id", "who"), ("identity", "CN=source,O=Tests")));
        await SetAsync(service.Monitor, ("tls-authz", "who"));
        await QmpMove.RunAsync(source.Monitor, service.Monitor, Anywhere, "return-path");
        await UseTlsAsync(service.Monitor, _files, "client", id: "out");

        await using QemuMachine arrived = await Restoration.StartLikeAsync(
            source,
            Work.File("arrived.ram"),
            Work,
            "arrived",
            options => TakeWithTlsAsync(options, _files, uri => QmpMove.SendAsync(service.Monitor, uri)));

        await Restoration.HasArrivedAsync(source, arrived, Work);
    }

    [Theory]
    [InlineData("missing", "tcp:127.0.0.1:0", "missing")]
    [InlineData("client", "tcp:127.0.0.1:0", "server endpoint")]
    [InlineData("server", "unix:/nonexistent/socket", "tcp:HOST:PORT")]
    [InlineData("server", "rdma:127.0.0.1:0", "tcp:HOST:PORT")]
    public async Task A_service_refuses_what_would_come_in_clear(string credentials, string uri, string reason)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await UseTlsAsync(service.Monitor, _files, "server", id: "server");
        await UseTlsAsync(service.Monitor, _files, "client", id: "client");
        await SetAsync(service.Monitor, ("tls-creds", credentials));

        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => service.Monitor.ExecuteAsync("migrate-incoming", new { uri }));

        Assert.Contains(reason, refused.Reason, StringComparison.Ordinal);
        await SetAsync(service.Monitor, ("tls-creds", ""));
        await service.Monitor.ExecuteAsync("object-del", new { id = "server" });
        await Assert.ThrowsAsync<QmpException>(() => service.Monitor.ExecuteAsync("object-del", new { id = "server" }));
        await service.Monitor.ExecuteAsync("migrate-incoming", new { uri = Anywhere });
    }

    [Theory]
    [InlineData("another authority")]
    [InlineData("expired")]
    [InlineData("no TLS")]
    public async Task A_QEMU_that_is_not_trusted_keeps_its_machine_and_the_next_is_served(string flaw)
    {
        using TlsAuthority stranger = new(Work, "stranger");
        await using QemuMachine source = await StartSourceAsync("pc", 16);
        await source.SetCapabilitiesAsync(("return-path", true));
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(Anywhere, NewFolder("captures"), ["--tls-creds", _files]);
        string? files = flaw switch
        {
            "another authority" => stranger.Issue(trusts: _authority),
            "expired" => _authority.Issue(isExpired: true),
            _ => null,
        };
        if (files is not null)
        {
            await UseTlsAsync(source, files, "client");
        }

        Assert.Equal("failed", (await source.MigrateAsync(receiver.Uri)).Status);

        await source.ContinueAsync();
        Assert.Equal("running", await source.RunStateAsync());
        string reason = flaw switch { "another authority" => "CN=stranger", "expired" => "has expired", _ => "without TLS" };
        await Task.Run(() => Assert.True(
            SpinWait.SpinUntil(() => receiver.Process.Errors.Contains(reason, StringComparison.Ordinal), Deadlines.Answer), receiver.Process.Errors));
        await using QemuMachine next = await StartSourceAsync("pc", 16);
        await UseTlsAsync(next, _files, "client");
        await receiver.TakeAsync(next);
    }

    [Theory]
    [InlineData("another authority", "Policy", "CN=stranger")]
    [InlineData("expired", "Policy", "has expired")]
    [InlineData("another name", "Policy", "vm-host.example")]
    [InlineData("no TLS", "Refused", "tls-creds")]
    [InlineData("an unknown source", "Disconnected", "certificate")]
    public async Task Send_refuses_a_QEMU_that_is_not_trusted_or_does_not_trust(string flaw, string errorClass, string reason)
    {
        using TlsAuthority stranger = new(Work, "stranger");
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 16);
        await using (source)
        {
            QemuOptions options = source.Options with { Name = "destination", MemoryFile = Work.File("destination.ram"), Incoming = "defer" };
            await using QemuMachine destination = await QemuMachine.StartAsync(options);
            string? files = flaw switch
            {
                "another authority" => stranger.Issue(),
                "expired" => _authority.Issue(isExpired: true),
                "another name" => _authority.Issue("vm-host.example"),
                "no TLS" => null,
                _ => _files,
            };
            if (files is not null)
            {
                await UseTlsAsync(destination, files, "server");
            }

            string own = flaw == "an unknown source" ? stranger.Issue(trusts: _authority) : _files;
            await using RdmamigProcess sender = RdmamigProcess.Send(capture, await destination.ListenAsync(Anywhere), ["--tls-creds", own]);

            Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Migration));
            ReceiveResult result = await sender.ResultAsync();
            Assert.Equal(errorClass, result.ErrorClass);
            Assert.Contains(reason, result.Error, StringComparison.Ordinal);
        }
    }

    private static Task UseTlsAsync(QemuMachine machine, string files, string endpoint) => UseTlsAsync(machine.Monitor, files, endpoint, id: "tls0");

    /// <summary>Has the next migration encrypted. QEMU is told not to look whether its own certificate has expired.</summary>
    private static async Task UseTlsAsync(QmpClient monitor, string files, string endpoint, string id)
    {
        await monitor.ExecuteAsync(
            "object-add",
            Members(("qom-type", "tls-creds-x509"), ("id", id), ("dir", files), ("endpoint", endpoint), ("verify-peer", true), ("sanity-check", false)));
        await SetAsync(monitor, ("tls-creds", id));
    }

    private static async Task SetAsync(QmpClient monitor, (string Name, object Value) parameter) =>
        await monitor.ExecuteAsync("migrate-set-parameters", Members(parameter));

    private static Dictionary<string, object> Members(params (string Name, object Value)[] members) => members.ToDictionary(m => m.Name, m => m.Value);

    private static async Task<QemuMachine> TakeWithTlsAsync(QemuOptions options, string files, Func<string, Task> send)
    {
        QemuMachine machine = await QemuMachine.StartAsync(options with { Incoming = "defer", Paused = true });
        try
        {
            await UseTlsAsync(machine, files, "server");
            await send(await machine.ListenAsync(Anywhere));
            Assert.Equal("completed", (await machine.MigrationEndAsync(0)).Status);
            await SetAsync(machine.Monitor, ("tls-creds", ""));
            return machine;
        }
        catch
        {
            await machine.DisposeAsync();
            throw;
        }
    }
}
