using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>
/// A destination whose host is cut off sends nothing at all, and its device acknowledges nothing. Two hosts, and a wire that is cut at random moments of a
/// send, none later than amid RAM.
/// </summary>
public sealed class SilentDestinationTests(ITestOutputHelper output)
{
    private const int Seed = 20261124;
    private const int Mebibytes = 32;

    /// <summary>RAM takes some eight seconds, and the moments lie in the first six.</summary>
    private const string Bandwidth = "4M";

    private const int LatestMilliseconds = 6000;
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(2);

    /// <summary>The transport's own: 5 retries, of which rxe takes some 2 s each; the specification lets a device take four times the timeout.</summary>
    private static readonly TimeSpan s_retryTime = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task Sender_ends_with_1_when_its_destination_is_cut_off_and_the_next_send_works()
    {
        using WorkDirectory work = new(Path.Combine(Executables.RepositoryRoot, ".artifacts"));
        string capture = work.File("capture");
        await SavedMachine.SaveAsync(capture, work.File("ram"), Mebibytes, Seed);
        string go = work.File("go");
        JoinedHosts hosts = new($"cut-{Environment.ProcessId}");
        string[] probing = ["--keepalive-interval", s_keepAlive.TotalSeconds.ToString(CultureInfo.InvariantCulture)];
        await using RdmamigProcess receiver = hosts.Receive(probing);
        await using RdmamigProcess sender = hosts.Send(capture, go, probing);
        await receiver.Events.FirstAsync(e => e.Name == "LISTENING", 0, Deadlines.Scale(240), "LISTENING");
        Random random = new(Seed);
        for (int i = 0; i < 4; i++)
        {
            int from = sender.Events.Count;
            await File.WriteAllLinesAsync(
                go, ["--max-bandwidth", Bandwidth, .. i % 2 == 0 ? (string[])[] : ["--pin-all"]], TestContext.Current.CancellationToken);
            await sender.Events.FirstAsync(e => e.Name == "MIGRATION", from, Deadlines.Start, "a sender at work");
            await Task.Delay(random.Next(LatestMilliseconds), TestContext.Current.CancellationToken); // the moment itself is what varies

            await hosts.LinkAsync(up: false, JoinedHosts.Destination);

            await EndsAsUnreachableAsync(sender, from);
            await hosts.LinkAsync(up: true, JoinedHosts.Destination);
        }

        int last = sender.Events.Count;
        await File.WriteAllLinesAsync(go, ["--return-path"], TestContext.Current.CancellationToken);
        ReceiveResult sent = await sender.ResultAsync(last);
        Assert.True(sent is { Completed: true, Confirmed: true }, sent.ToString());
    }

    private async Task EndsAsUnreachableAsync(RdmamigProcess sender, int from)
    {
        DateTimeOffset cut = DateTimeOffset.UtcNow;
        QmpEvent exit = await sender.Events.FirstAsync(e => e.Name == "EXIT", from, (2 * s_keepAlive) + s_retryTime, "the sender's end");
        TimeSpan found = exit.Seen - cut;
        ReceiveResult result = await sender.ResultAsync(from);
        output.WriteLine($"{found.TotalSeconds:0.0} s after the cut: {result.Error}");
        Assert.Equal(("failed", "Unreachable", 1), (result.Status, result.ErrorClass, exit.Values.GetProperty("code").GetInt32()));
        Assert.Contains("10.77.0.1", result.Error, StringComparison.Ordinal);
        // The guest's own clock, for both: from when the loss was known to when the process was gone.
        Assert.InRange(exit.Time - result.Time + (result.ErrorLatency ?? TimeSpan.Zero), TimeSpan.Zero, s_soon);
    }
}
