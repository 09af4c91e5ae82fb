using System.Diagnostics;
using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>A source whose host is cut off sends nothing at all, no disconnect either. Real QEMU, two hosts, and a wire that is cut.</summary>
public sealed class SilentSourceTests(ITestOutputHelper output)
{
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(2);

    /// <summary>
    /// The transport's own: QEMU asks for 5 retries, and rxe takes some 2 s for each; the specification lets a device take four times the timeout.
    /// </summary>
    private static readonly TimeSpan s_retryTime = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_source_that_is_cut_off_is_found_and_the_next_migration_works()
    {
        JoinedHosts hosts = new($"silent-{Environment.ProcessId}");
        await using RdmamigProcess receiver = hosts.Receive("--keepalive-interval", s_keepAlive.TotalSeconds.ToString(CultureInfo.InvariantCulture));
        EventLog<string> said = new();
        await using (hosts.Migrate(mebibytes: 64, bytesPerSecond: 2_000_000, said))
        {
            await said.FirstAsync(line => line.StartsWith("transferred", StringComparison.Ordinal), 0, Deadlines.Scale(240), "a migration under way");
            long cut = Stopwatch.GetTimestamp();
            await hosts.LinkAsync(up: false);
            ReceiveResult silent = await receiver.ResultAsync();
            TimeSpan found = Stopwatch.GetElapsedTime(cut);
            output.WriteLine($"found {found.TotalSeconds:0.0} s after the cut, probing after {s_keepAlive.TotalSeconds} s of silence");
            Assert.Equal(("failed", "Unreachable"), (silent.Status, silent.ErrorClass));
            Assert.Contains("does not answer", silent.Error, StringComparison.Ordinal);
            Assert.InRange(found, TimeSpan.Zero, (2 * s_keepAlive) + s_retryTime);
        }

        int from = receiver.Events.Count;
        EventLog<string> next = new();
        await using ChildProcess source = hosts.Migrate(mebibytes: 64, bytesPerSecond: 1_000_000_000, next);
        await next.FirstAsync(line => line is "completed" or "failed", 0, Deadlines.Scale(300), "the next migration's end");
        Assert.Equal("completed", (await receiver.ResultAsync(from)).Status);
    }
}
