using System.Net.Sockets;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>SIGTERM of `rdmamig serve` during a migration: the service ends within 5 s with 0, and its peer reports where the machine is.</summary>
[Trait("needs", "qemu")]
public sealed class ServiceSignalTests : ReceiverTests
{
    private const string Anywhere = "tcp:127.0.0.1:0";
    private const int Mebibytes = 16;

    /// <summary>Bytes a second: a migration takes two minutes.</summary>
    private const int Slow = 1 << 16;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData("QEMU")]
    [InlineData("service")]
    public async Task The_machine_runs_on_at_its_source_when_the_service_that_receives_it_ends(string kind)
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", Mebibytes) with { Paused = false });
        await using ServeProcess? first = kind == "service" ? await TakeAsync(guest) : null;
        QmpClient source = first?.Monitor ?? guest.Monitor;
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        int from = await BeginAsync(source, await QmpMove.ListenAsync(service.Monitor, Anywhere), "active");

        await EndAsync(service);

        Assert.Equal("failed", (await QmpMove.EndAsync(source, from)).Status);
        await QmpMove.UntilRunStateAsync(source, "running");
        await using ServeProcess next = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.EnableAsync(next.Monitor, "events");
        await QmpMove.SendAsync(source, await QmpMove.ListenAsync(next.Monitor, Anywhere));
        await QmpMove.UntilRunStateAsync(next.Monitor, "running");
    }

    [Fact]
    public async Task A_destination_that_does_not_accept_gets_no_connection_of_a_service_that_has_ended()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.TakeSmallMachineAsync(service, Work);
        UnixDomainSocketEndPoint address = new(Work.File("full"));
        using Socket listener = NewSocket();
        listener.Bind(address);
        listener.Listen(0);
        using Socket first = NewSocket();
        await first.ConnectAsync(address);

        // The backlog is full now: the service connects, and waits.
        await service.Monitor.ExecuteAsync("migrate", new { uri = $"unix:{Work.File("full")}" });
        Assert.Equal("setup", await QmpMove.StatusAsync(service.Monitor));
        await EndAsync(service);

        using Socket accepted = await listener.AcceptAsync();
        Assert.False(listener.Poll(TimeSpan.Zero, SelectMode.SelectRead));
    }

    [Theory]
    [InlineData("active")]
    [InlineData("pre-switchover")]
    public async Task A_QEMU_starts_no_machine_when_the_service_that_sends_it_ends(string status)
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", Mebibytes) with { Paused = false });
        await using ServeProcess service = await TakeAsync(guest);
        await using QemuMachine destination = await QemuMachine.StartAsync(NewMachine("pc", Mebibytes) with { Incoming = "defer", Paused = false });
        await BeginAsync(service.Monitor, await destination.ListenAsync(Anywhere), status);

        await EndAsync(service);

        Assert.Equal(1, await destination.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.DoesNotContain(destination.Monitor.Events.Snapshot(), said => said.Name == "RESUME");
    }

    [Theory]
    [InlineData("active")]
    [InlineData("pre-switchover")]
    public async Task A_service_has_no_machine_when_the_service_that_sends_it_ends_and_takes_the_next(string status)
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", Mebibytes) with { Paused = false });
        await using ServeProcess service = await TakeAsync(guest);
        await using ServeProcess destination = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.EnableAsync(destination.Monitor, "events");
        string uri = $"unix:{Work.File("destination")}";
        await destination.Monitor.ExecuteAsync("migrate-incoming", new Dictionary<string, object> { ["uri"] = uri, ["exit-on-error"] = false });
        await BeginAsync(service.Monitor, uri, status);

        await EndAsync(service);

        Assert.Equal("failed", (await QmpMove.EndAsync(destination.Monitor)).Status);
        Assert.Equal("inmigrate", await QmpMove.RunStateAsync(destination.Monitor));
        int from = destination.Monitor.Events.Count;
        await guest.ContinueAsync();
        await QmpMove.SendAsync(guest.Monitor, uri);
        Assert.Equal("completed", (await QmpMove.EndAsync(destination.Monitor, from)).Status);
    }

    [Fact]
    public async Task The_machine_is_at_its_destination_when_the_service_that_has_sent_it_ends()
    {
        await using QemuMachine guest = await StartSourceAsync("pc", Mebibytes);
        await using ServeProcess service = await TakeAsync(guest);
        await using QemuMachine destination = await QemuMachine.StartAsync(NewMachine("pc", Mebibytes) with { Incoming = "defer" });
        await QmpMove.RunAsync(service.Monitor, destination.Monitor, Anywhere, "return-path");
        Assert.Equal("postmigrate", await QmpMove.RunStateAsync(service.Monitor));

        await EndAsync(service);

        Assert.Equal("completed", await QmpMove.StatusAsync(destination.Monitor));
        await Restoration.HasArrivedAsync(guest, destination, Work);
    }

    /// <summary>A service that has the guest's machine.</summary>
    private static async Task<ServeProcess> TakeAsync(QemuMachine guest)
    {
        ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.RunAsync(guest.Monitor, service.Monitor, Anywhere);
        return service;
    }

    /// <summary>Begins to send and waits for a status. Returns how many events came before.</summary>
    private static async Task<int> BeginAsync(QmpClient source, string uri, string status)
    {
        int from = source.Events.Count;
        await QmpMove.EnableAsync(source, "events");
        if (status == "pre-switchover")
        {
            await QmpMove.EnableAsync(source, "pause-before-switchover");
        }
        else
        {
            await source.ExecuteAsync("migrate-set-parameters", new Dictionary<string, object> { ["max-bandwidth"] = Slow });
        }

        await source.ExecuteAsync("migrate", new { uri });
        await source.Events.FirstAsync(said => said.Status == status, from, Deadlines.Migration, status);
        return from;
    }

    private static async Task EndAsync(ServeProcess service)
    {
        await service.SignalAsync("TERM");
        Assert.Equal(0, await service.Process.WaitForExitAsync(s_soon));
    }

    private static Socket NewSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
}
