using System.IO.Pipes;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// Two `rdmamig serve` driven by libvirt's commands, one as the source, one as the destination. A QEMU brings the machine to the first, and takes it from
/// where it is at the end.
/// </summary>
public sealed class LibvirtSequenceTests : ReceiverTests
{
    private const string Anywhere = "tcp:127.0.0.1:0";
    private const string OneWay = "";
    private const string ReturnPath = "return-path switchover-ack";
    private const long Slow = 1 << 20;

    [Theory]
    [Trait("needs", "qemu")]
    [InlineData("tcp:[::]:0", ReturnPath)]
    [InlineData("unix:SOCKET", ReturnPath)]
    [InlineData("fd:PIPE", OneWay)]
    public async Task A_running_guest_moves_over_a_connection_of_libvirt(string way, string capabilities)
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 64) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        using AnonymousPipeServerStream pipe = new(PipeDirection.Out, HandleInheritability.Inheritable);
        string uri = way.Replace("SOCKET", Work.File("move"), StringComparison.Ordinal)
            .Replace("PIPE", pipe.GetClientHandleAsString(), StringComparison.Ordinal);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        pipe.DisposeLocalCopyOfClientHandle();
        (LibvirtPlayer source, LibvirtPlayer destination) = (Player(first), Player(second));

        await destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens(uri, capabilities));
        await source.PlayAsync(LibvirtSequences.Prepares(capabilities: capabilities));
        if (way == "fd:PIPE")
        {
            await first.Monitor.ExecuteAsync("getfd", new { fdname = "migrate" }, pipe.SafePipeHandle);
            pipe.Dispose();
        }
        else
        {
            await PassConnectionAsync(first, second, uri);
        }

        await Task.WhenAll(
            source.PlayAsync(LibvirtSequences.Migrates("fd:migrate"), LibvirtSequences.Stops, LibvirtSequences.SwitchesOver),
            destination.PlayAsync(LibvirtSequences.Arrives, LibvirtSequences.RunsOn));

        await EndsAsync(first, source);
        Assert.Equal("running", await QmpMove.RunStateAsync(second.Monitor));
        await HasAsync(second, guest);
    }

    [Fact]
    [Trait("needs", "rdma")]
    public async Task A_running_guest_moves_over_RDMA_with_pin_all()
    {
        const string capabilities = $"{ReturnPath} rdma-pin-all";
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 64) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        (LibvirtPlayer source, LibvirtPlayer destination) = (Player(first), Player(second));
        int port = RdmaAddress.NextPort();

        await destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens($"rdma:[::]:{port}", capabilities));
        await source.PlayAsync(LibvirtSequences.Prepares(capabilities: capabilities));
        await Task.WhenAll(
            source.PlayAsync(LibvirtSequences.Migrates(RdmaAddress.Uri(port)), LibvirtSequences.Stops, LibvirtSequences.SwitchesOver),
            destination.PlayAsync(LibvirtSequences.Arrives, LibvirtSequences.RunsOn));

        await EndsAsync(first, source);
        await HasAsync(second, guest);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_guest_that_is_suspended_first_arrives_paused()
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 32) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        (LibvirtPlayer source, LibvirtPlayer destination) = (Player(first), Player(second));

        await destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens(Anywhere));
        await source.PlayAsync(LibvirtSequences.Prepares(), LibvirtSequences.Suspends);
        await PassConnectionAsync(first, second);
        await Task.WhenAll(
            source.PlayAsync(LibvirtSequences.Migrates("fd:migrate"), LibvirtSequences.Sends, LibvirtSequences.SwitchesOver),
            destination.PlayAsync(LibvirtSequences.Arrives, LibvirtSequences.StaysPaused));

        Assert.Equal("paused", await QmpMove.RunStateAsync(second.Monitor));
        await HasAsync(second, guest);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_guest_whose_migration_is_aborted_stays_at_the_source()
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 64) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        (LibvirtPlayer source, LibvirtPlayer destination) = await BeginSlowlyAsync(first, second);

        await Task.WhenAll(source.PlayAsync(LibvirtSequences.IsAborted), destination.PlayAsync(LibvirtSequences.Fails));

        await EndsAsync(second, destination);
        Assert.Equal("running", await QmpMove.RunStateAsync(first.Monitor));
        await HasAsync(first, guest);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_guest_whose_destination_is_killed_stays_at_the_source()
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 64) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        (LibvirtPlayer source, _) = await BeginSlowlyAsync(first, second);

        second.Process.KillNow();
        await source.PlayAsync(LibvirtSequences.LosesDestination);

        Assert.Equal("running", await QmpMove.RunStateAsync(first.Monitor));
        await HasAsync(first, guest);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_destination_whose_source_is_killed_stays_until_libvirt_ends_it()
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 64) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        (_, LibvirtPlayer destination) = await BeginSlowlyAsync(first, second);

        first.Process.KillNow();
        await destination.PlayAsync(LibvirtSequences.Fails);

        Assert.Equal("inmigrate", await QmpMove.RunStateAsync(second.Monitor));
        await EndsAsync(second, destination);
    }

    /// <summary>libvirt enables multifd for --parallel, and the other two for --postcopy.</summary>
    [Theory]
    [Trait("needs", "qemu")]
    [InlineData("multifd")]
    [InlineData("postcopy-ram postcopy-preempt")]
    public async Task Capabilities_that_are_not_supported_are_refused_on_both_sides(string capabilities)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        LibvirtPlayer player = Player(service);
        await player.PlayAsync(LibvirtSequences.Begin);

        foreach (string part in (string[])[LibvirtSequences.Listens(Anywhere, $"{ReturnPath} {capabilities}"), LibvirtSequences.Prepares(Slow, capabilities)])
        {
            QmpException refused = await Assert.ThrowsAsync<QmpException>(() => player.PlayAsync(part));
            Assert.Equal("GenericError", refused.ErrorClass);
        }

        JsonElement now = await service.Monitor.ExecuteAsync("query-migrate-capabilities");
        JsonElement enabled = Assert.Single(now.EnumerateArray(), one => one.GetProperty("state").GetBoolean());
        Assert.Equal("events", enabled.GetProperty("capability").GetString());
    }

    /// <summary>Starts a service as libvirt does, and moves the guest into it, where it counts as running.</summary>
    private static async Task<ServeProcess> TakeAsync(QemuMachine guest)
    {
        ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.RunAsync(guest.Monitor, service.Monitor, Anywhere);
        await QmpMove.UntilRunStateAsync(service.Monitor, "running");
        return service;
    }

    /// <summary>Begins a migration that takes half a minute, and returns when both are active.</summary>
    private static async Task<(LibvirtPlayer Source, LibvirtPlayer Destination)> BeginSlowlyAsync(ServeProcess first, ServeProcess second)
    {
        (LibvirtPlayer source, LibvirtPlayer destination) = (Player(first), Player(second));
        await destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens(Anywhere));
        await source.PlayAsync(LibvirtSequences.Prepares(Slow));
        await PassConnectionAsync(first, second);
        await source.PlayAsync(LibvirtSequences.Migrates("fd:migrate"), LibvirtSequences.Sends);
        await second.Monitor.Events.FirstAsync(said => said.Status == "active", 0, Deadlines.Migration, "active");
        return (source, destination);
    }

    private static LibvirtPlayer Player(ServeProcess service)
    {
        LibvirtPlayer player = new(service.Monitor);
        player.SkipEvents();
        return player;
    }

    /// <summary>libvirt connects to the destination, and passes the connection to the source.</summary>
    private static async Task PassConnectionAsync(ServeProcess first, ServeProcess second, string uri = Anywhere)
    {
        bool isLocal = uri.StartsWith("unix:", StringComparison.Ordinal);
        using Socket connection = new(isLocal ? AddressFamily.Unix : AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Unspecified);
        await connection.ConnectAsync(isLocal ? new UnixDomainSocketEndPoint(uri["unix:".Length..]) : await AddressAsync(second));
        await first.Monitor.ExecuteAsync("getfd", new { fdname = "migrate" }, connection.SafeHandle);
    }

    private static async Task<IPEndPoint> AddressAsync(ServeProcess destination)
    {
        JsonElement address = (await destination.Monitor.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        return IPEndPoint.Parse($"127.0.0.1:{address.GetProperty("port").GetString()}");
    }

    /// <summary>libvirt ends a process that it needs no longer.</summary>
    private static async Task EndsAsync(ServeProcess service, LibvirtPlayer player)
    {
        await service.SignalAsync("TERM");
        await player.PlayAsync("* SHUTDOWN");
        Assert.Equal(0, await service.Process.WaitForExitAsync(Deadlines.Answer));
    }

    /// <summary>Moves the machine into a QEMU, which must have the guest's.</summary>
    private async Task HasAsync(ServeProcess service, QemuMachine guest)
    {
        await using QemuMachine arrived = await Restoration.StartLikeAsync(guest, Work.File("arrived.ram"), Work, "arrived", options =>
            QemuMachine.TakeAsync(options, Anywhere, uri => QmpMove.SendAsync(service.Monitor, uri)));
        await Restoration.HasArrivedAsync(guest, arrived, Work);
    }
}
