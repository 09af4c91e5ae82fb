using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// As <see cref="GuestFaultTests"/>, in the status pre-switchover: the guest is stopped, and its source waits for migrate-continue. The
/// destination is killed.
/// </summary>
public sealed class GuestPauseFaultTests
{
    private const string Tcp = "tcp:127.0.0.1:0";

    [Fact]
    public Task A_guest_whose_destination_is_killed_runs_on_at_the_source() => KillDestinationAsync(() => Tcp);

    [Fact]
    [Trait("needs", "rdma")]
    public Task A_guest_whose_destination_is_killed_runs_on_at_the_source_over_RDMA() => KillDestinationAsync(RdmaAddress.NextUri);

    private static async Task KillDestinationAsync(Func<string> uri)
    {
        await using ServeProcess source = await StartAsync("--dirty-rate", "4M");
        await using (ServeProcess destination = await StartAsync("--incoming", "defer"))
        {
            await PauseAsync(source, await QmpMove.ListenAsync(destination.Monitor, uri()));

            destination.Process.KillNow();

            Assert.Equal("failed", (await QmpMove.EndAsync(source.Monitor)).Status);
            Assert.Contains("the machine goes on here", await ErrorAsync(source), StringComparison.Ordinal);
            await QmpMove.UntilRunStateAsync(source.Monitor, "running");
            Assert.DoesNotContain(destination.Monitor.Events.Snapshot(), said => said.Name == "RESUME");
        }

        await QmpMove.DisableAsync(source.Monitor, "pause-before-switchover");
        await using ServeProcess next = await StartAsync("--incoming", "defer");
        await QmpMove.RunAsync(source.Monitor, next.Monitor, uri());
        await IsIntactAsync(next);
    }

    private static Task<ServeProcess> StartAsync(params string[] options) => ServeProcess.StartGuestAsync(["--ram", "16M", .. options]);

    /// <summary>Begins to move a guest, and returns when it is stopped and its source waits.</summary>
    private static async Task PauseAsync(ServeProcess source, string uri)
    {
        await QmpMove.EnableAsync(source.Monitor, "events", "pause-before-switchover");
        await source.Monitor.ExecuteAsync("migrate", new { uri });
        await source.Monitor.Events.FirstAsync(said => said.Status == "pre-switchover", 0, Deadlines.Migration, "pre-switchover");
        Assert.Equal("finish-migrate", await QmpMove.RunStateAsync(source.Monitor));
    }

    private static async Task<string> ErrorAsync(ServeProcess process)
    {
        JsonElement migration = await process.Monitor.ExecuteAsync("query-migrate");
        return migration.GetProperty("error-desc").GetString()!;
    }

    /// <summary>The guest runs there. It looks at all of its memory before it ends: exit code 1 is a lost write.</summary>
    private static async Task IsIntactAsync(ServeProcess guest)
    {
        Assert.Equal("running", await QmpMove.RunStateAsync(guest.Monitor));
        await guest.Monitor.ExecuteAsync("quit");
        Assert.Equal(0, await guest.Process.WaitForExitAsync(Deadlines.Answer));
    }
}
