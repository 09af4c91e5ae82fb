using System.IO.Pipes;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// Two `rdmamig serve` driven by libvirt's commands, one as the source, one as the destination. A QEMU brings the machine to the first, and takes it from
/// where it is at the end.
/// </summary>
public sealed class LibvirtSequenceTests : ReceiverTests
{
    private const string Anywhere = LibvirtPair.Anywhere;
    private const string OneWay = "";

    /// <summary>An address that is reserved for documentation.</summary>
    private const string NowhereHere = "192.0.2.1";

    private const string ReturnPath = "return-path switchover-ack";

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
        LibvirtPair pair = new(first, second);
        (LibvirtPlayer source, LibvirtPlayer destination) = (pair.Source, pair.Destination);

        await destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens(uri, capabilities));
        await source.PlayAsync(LibvirtSequences.Prepares(capabilities: capabilities));
        if (way == "fd:PIPE")
        {
            await first.Monitor.ExecuteAsync("getfd", new { fdname = "migrate" }, pipe.SafePipeHandle);
            pipe.Dispose();
        }
        else
        {
            await pair.PassConnectionAsync(uri);
        }

        await Task.WhenAll(
            source.PlayAsync(LibvirtSequences.Migrates("fd:migrate"), LibvirtSequences.Stops, LibvirtSequences.SwitchesOver),
            destination.PlayAsync(LibvirtSequences.Arrives, LibvirtSequences.RunsOn));

        await LibvirtPair.EndAsync(first, source);
        Assert.Equal("running", await QmpMove.RunStateAsync(second.Monitor));
        await HasAsync(second, guest);
    }

    [Theory]
    [Trait("needs", "rdma")]
    [InlineData(ReturnPath)]
    [InlineData($"{ReturnPath} rdma-pin-all")]
    public async Task A_running_guest_moves_over_RDMA(string capabilities)
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 64) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        LibvirtPair pair = new(first, second);
        (LibvirtPlayer source, LibvirtPlayer destination) = (pair.Source, pair.Destination);
        int port = RdmaAddress.NextPort();

        await destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens($"rdma:[::]:{port}", capabilities));
        await source.PlayAsync(LibvirtSequences.Prepares(capabilities: capabilities));
        await Task.WhenAll(
            source.PlayAsync(LibvirtSequences.Migrates(RdmaAddress.Uri(port)), LibvirtSequences.Stops, LibvirtSequences.SwitchesOver),
            destination.PlayAsync(LibvirtSequences.Arrives, LibvirtSequences.RunsOn));

        await LibvirtPair.EndAsync(first, source);
        await HasAsync(second, guest);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_guest_that_is_suspended_first_arrives_paused()
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 32) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        LibvirtPair pair = new(first, second);
        (LibvirtPlayer source, LibvirtPlayer destination) = (pair.Source, pair.Destination);

        await destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens(Anywhere));
        await source.PlayAsync(LibvirtSequences.Prepares(), LibvirtSequences.Suspends);
        await pair.PassConnectionAsync();
        await Task.WhenAll(
            source.PlayAsync(LibvirtSequences.Migrates("fd:migrate"), LibvirtSequences.Sends, LibvirtSequences.SwitchesOver),
            destination.PlayAsync(LibvirtSequences.Arrives, LibvirtSequences.StaysPaused));

        Assert.Equal("paused", await QmpMove.RunStateAsync(second.Monitor));
        await HasAsync(second, guest);
    }

    /// <summary>No device has the address. What QEMU reported where there was no device at all is the same.</summary>
    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_destination_that_cannot_listen_over_RDMA_is_set_back_and_ended()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        LibvirtPlayer destination = LibvirtPlayer.From(service);
        await destination.PlayAsync(LibvirtSequences.Begin);

        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => destination.PlayAsync(LibvirtSequences.Listens($"rdma:{NowhereHere}:49152")));
        Assert.Equal("GenericError", refused.ErrorClass);

        await destination.PlayAsync(LibvirtSequences.SetsBack);
        Assert.Equal("inmigrate", await QmpMove.RunStateAsync(service.Monitor));
        await LibvirtPair.EndAsync(service, destination);
    }

    /// <summary>As a QEMU, the service replies when it knows whether the destination accepts the connection.</summary>
    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_guest_that_finds_no_destination_over_RDMA_stays_at_the_source()
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 32) with { Paused = false });
        await using ServeProcess service = await TakeAsync(guest);
        LibvirtPlayer source = LibvirtPlayer.From(service);

        await source.PlayAsync(LibvirtSequences.Prepares());
        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => source.PlayAsync(LibvirtSequences.Migrates("rdma:127.0.0.1:4444")));
        Assert.Equal("GenericError", refused.ErrorClass);

        await source.PlayAsync("* setup", LibvirtSequences.LosesDestination);
        Assert.Equal("running", await QmpMove.RunStateAsync(service.Monitor));
        await HasAsync(service, guest);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_process_with_a_guest_answers_what_libvirt_asks_for_its_statistics()
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 32) with { Paused = false });
        await using ServeProcess service = await TakeAsync(guest);

        await LibvirtPlayer.From(service).PlayAsync(LibvirtSequences.Queries);

        JsonElement parameters = await service.Monitor.ExecuteAsync("query-migrate-parameters");
        Assert.Equal(104857600, parameters.GetProperty("max-bandwidth").GetInt64());
        Assert.Equal(500, parameters.GetProperty("downtime-limit").GetInt64());
        JsonElement rate = await service.Monitor.ExecuteAsync("query-dirty-rate");
        Assert.Equal("unstarted", rate.GetProperty("status").GetString());
        await HasAsync(service, guest);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_guest_whose_migration_is_aborted_stays_at_the_source()
    {
        await using QemuMachine guest = await StartSourceAsync(NewMachine("pc", 64) with { Paused = false });
        await using ServeProcess first = await TakeAsync(guest);
        await using ServeProcess second = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        LibvirtPair pair = await LibvirtPair.BeginSlowlyAsync(first, second);

        await Task.WhenAll(pair.Source.PlayAsync(LibvirtSequences.IsAborted), pair.Destination.PlayAsync(LibvirtSequences.Fails));

        await LibvirtPair.EndAsync(second, pair.Destination);
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
        LibvirtPair pair = await LibvirtPair.BeginSlowlyAsync(first, second);

        second.Process.KillNow();
        await pair.Source.PlayAsync(LibvirtSequences.LosesDestination);

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
        LibvirtPair pair = await LibvirtPair.BeginSlowlyAsync(first, second);

        first.Process.KillNow();
        await pair.Destination.PlayAsync(LibvirtSequences.Fails);

        Assert.Equal("inmigrate", await QmpMove.RunStateAsync(second.Monitor));
        await LibvirtPair.EndAsync(second, pair.Destination);
    }

    /// <summary>libvirt enables multifd for --parallel, and the other two for --postcopy.</summary>
    [Theory]
    [Trait("needs", "qemu")]
    [InlineData("multifd")]
    [InlineData("postcopy-ram postcopy-preempt")]
    public async Task Capabilities_that_are_not_supported_are_refused_on_both_sides(string capabilities)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--paused");
        LibvirtPlayer player = LibvirtPlayer.From(service);
        await player.PlayAsync(LibvirtSequences.Begin);

        string listens = LibvirtSequences.Listens(Anywhere, $"{ReturnPath} {capabilities}");
        foreach (string part in (string[])[listens, LibvirtSequences.Prepares(LibvirtPair.Slow, capabilities)])
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

    /// <summary>Moves the machine into a QEMU, which must have the guest's.</summary>
    private async Task HasAsync(ServeProcess service, QemuMachine guest)
    {
        await using QemuMachine arrived = await Restoration.StartLikeAsync(guest, Work.File("arrived.ram"), Work, "arrived", options =>
            QemuMachine.TakeAsync(options, Anywhere, uri => QmpMove.SendAsync(service.Monitor, uri)));
        await Restoration.HasArrivedAsync(guest, arrived, Work);
    }
}
