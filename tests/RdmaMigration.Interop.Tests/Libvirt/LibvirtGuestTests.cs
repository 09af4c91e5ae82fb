using System.IO.Pipes;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// Two `rdmamig guest --qmp` driven by libvirt's commands, as <see cref="LibvirtSequenceTests"/> drives two services. All commands and events are the same but
/// these, because a guest's program runs in the process:
/// <list type="bullet">
/// <item>There is no -S: the program starts when it has arrived. RESUME comes before completed, and libvirt's cont finds it running and causes no
/// event.</item>
/// <item>A guest that is stopped is not sent, because its stream has no run state: migrate is refused after stop.</item>
/// <item>After SIGTERM the exit code is 130, as of every command that is cancelled.</item>
/// </list>
/// </summary>
public sealed class LibvirtGuestTests : ReceiverTests
{
    private const int Cancelled = 130;

    /// <summary>To a destination while memory is sent.</summary>
    private static readonly string s_arrives = LibvirtSequences.Arrives.Replace("* completed", "* RESUME\n* completed", StringComparison.Ordinal);

    /// <summary>To a destination, once the guest has arrived and runs.</summary>
    private static readonly string s_runsOn = LibvirtSequences.RunsOn.Replace("* RESUME\n", "", StringComparison.Ordinal);

    [Theory]
    [InlineData("tcp:[::]:0")]
    [InlineData("unix:SOCKET")]
    public async Task A_guest_moves_over_a_connection_of_libvirt(string way)
    {
        string uri = way.Replace("SOCKET", Work.File("move"), StringComparison.Ordinal);
        await using ServeProcess first = await RunAsync("4M");
        await using ServeProcess second = await StartAsync("--incoming", "defer");
        LibvirtPair pair = new(first, second);

        await pair.Destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens(uri));
        await pair.Source.PlayAsync(LibvirtSequences.Prepares());
        await pair.PassConnectionAsync(uri);
        await MovesAsync(pair, "fd:migrate");

        await LibvirtPair.EndAsync(first, pair.Source, Cancelled);
        await IsIntactAsync(second);
    }

    [Fact]
    public async Task A_guest_moves_through_a_pipe_of_libvirt()
    {
        await using ServeProcess first = await RunAsync("4M");
        using AnonymousPipeServerStream pipe = new(PipeDirection.Out, HandleInheritability.Inheritable);
        await using ServeProcess second = await StartAsync("--incoming", "defer");
        LibvirtPair pair = new(first, second);

        await pair.Destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens($"fd:{pipe.GetClientHandleAsString()}", ""));
        pipe.DisposeLocalCopyOfClientHandle();
        await pair.Source.PlayAsync(LibvirtSequences.Prepares(capabilities: ""));
        await first.Monitor.ExecuteAsync("getfd", new { fdname = "migrate" }, pipe.SafePipeHandle);
        pipe.Dispose();
        await MovesAsync(pair, "fd:migrate");

        await IsIntactAsync(second);
    }

    [Theory]
    [Trait("needs", "rdma")]
    [InlineData("return-path switchover-ack")]
    [InlineData("return-path switchover-ack rdma-pin-all")]
    public async Task A_guest_moves_over_RDMA(string capabilities)
    {
        await using ServeProcess first = await RunAsync("4M");
        await using ServeProcess second = await StartAsync("--incoming", "defer");
        LibvirtPair pair = new(first, second);
        int port = RdmaAddress.NextPort();

        await pair.Destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens($"rdma:[::]:{port}", capabilities));
        await pair.Source.PlayAsync(LibvirtSequences.Prepares(capabilities: capabilities));
        await MovesAsync(pair, RdmaAddress.Uri(port));

        await IsIntactAsync(second);
    }

    [Fact]
    public async Task A_guest_that_is_suspended_first_is_not_sent_and_runs_on_after_cont()
    {
        await using ServeProcess first = await RunAsync("4M");
        LibvirtPlayer source = LibvirtPlayer.From(first);

        await source.PlayAsync(LibvirtSequences.Prepares(), LibvirtSequences.Suspends);
        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => source.PlayAsync(LibvirtSequences.Migrates($"unix:{Work.File("nobody")}")));

        Assert.Equal("GenericError", refused.ErrorClass);
        await source.PlayAsync(LibvirtSequences.RunsOn);
        await IsIntactAsync(first);
    }

    [Fact]
    public async Task A_guest_whose_migration_is_aborted_stays_at_the_source()
    {
        await using ServeProcess first = await RunAsync("1M");
        await using ServeProcess second = await StartAsync("--incoming", "defer");
        LibvirtPair pair = await LibvirtPair.BeginSlowlyAsync(first, second);

        await Task.WhenAll(pair.Source.PlayAsync(LibvirtSequences.IsAborted), pair.Destination.PlayAsync(LibvirtSequences.Fails));

        await LibvirtPair.EndAsync(second, pair.Destination, Cancelled);
        await IsIntactAsync(first);
    }

    [Fact]
    public async Task A_guest_whose_destination_is_killed_stays_at_the_source()
    {
        await using ServeProcess first = await RunAsync("1M");
        await using ServeProcess second = await StartAsync("--incoming", "defer");
        LibvirtPair pair = await LibvirtPair.BeginSlowlyAsync(first, second);

        second.Process.KillNow();
        await pair.Source.PlayAsync(LibvirtSequences.LosesDestination);

        await IsIntactAsync(first);
    }

    [Fact]
    public async Task A_destination_whose_source_is_killed_stays_until_libvirt_ends_it()
    {
        await using ServeProcess first = await RunAsync("1M");
        await using ServeProcess second = await StartAsync("--incoming", "defer");
        LibvirtPair pair = await LibvirtPair.BeginSlowlyAsync(first, second);

        first.Process.KillNow();
        await pair.Destination.PlayAsync(LibvirtSequences.Fails);

        Assert.Equal("inmigrate", await QmpMove.RunStateAsync(second.Monitor));
        await LibvirtPair.EndAsync(second, pair.Destination, Cancelled);
    }

    [Theory]
    [InlineData("multifd")]
    [InlineData("postcopy-ram postcopy-preempt")]
    public async Task Capabilities_that_are_not_supported_are_refused_on_both_sides(string capabilities)
    {
        await using ServeProcess guest = await StartAsync("--incoming", "defer");
        LibvirtPlayer player = LibvirtPlayer.From(guest);
        await player.PlayAsync(LibvirtSequences.Begin);

        foreach (string part in (string[])[LibvirtSequences.Listens(LibvirtPair.Anywhere, capabilities), LibvirtSequences.Prepares(1 << 20, capabilities)])
        {
            Assert.Equal("GenericError", (await Assert.ThrowsAsync<QmpException>(() => player.PlayAsync(part))).ErrorClass);
        }

        JsonElement now = await guest.Monitor.ExecuteAsync("query-migrate-capabilities");
        JsonElement enabled = Assert.Single(now.EnumerateArray(), one => one.GetProperty("state").GetBoolean());
        Assert.Equal("events", enabled.GetProperty("capability").GetString());
    }

    /// <summary>Starts a guest that runs, as libvirt does.</summary>
    private static async Task<ServeProcess> RunAsync(string dirtyRate)
    {
        ServeProcess guest = await StartAsync("--dirty-rate", dirtyRate);
        await LibvirtPlayer.From(guest).PlayAsync(LibvirtSequences.Begin);
        return guest;
    }

    private static Task<ServeProcess> StartAsync(params string[] options) => ServeProcess.StartGuestAsync(["--ram", "32M", .. options]);

    private static Task MovesAsync(LibvirtPair pair, string uri) => Task.WhenAll(
        pair.Source.PlayAsync(LibvirtSequences.Migrates(uri), LibvirtSequences.Stops, LibvirtSequences.SwitchesOver),
        pair.Destination.PlayAsync(s_arrives, s_runsOn));

    /// <summary>The guest runs there. It looks at all of its memory before it ends: exit code 1 is a lost write.</summary>
    private static async Task IsIntactAsync(ServeProcess guest)
    {
        Assert.Equal("running", await QmpMove.RunStateAsync(guest.Monitor));
        await guest.Monitor.ExecuteAsync("quit");
        Assert.Equal(0, await guest.Process.WaitForExitAsync(Deadlines.Answer));
    }
}
