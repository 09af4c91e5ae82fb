using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Guests;

/// <summary>A migration of <c>rdmamig guest</c> to <c>rdmamig guest --incoming</c>.</summary>
internal static class RdmamigGuest
{
    private const double SampleSeconds = 0.2;

    /// <summary>What a source that reached its time limit reports may be a little below it.</summary>
    private const double NearlyAll = 0.95;

    /// <summary>Migrates a guest once.</summary>
    /// <param name="plan">The guest.</param>
    /// <param name="mode">How RAM travels.</param>
    /// <param name="rate">The rate that was asked for, MiB/s.</param>
    /// <param name="bytesPerSecond">The rate that the guest gets.</param>
    /// <exception cref="InvalidOperationException">The migration failed.</exception>
    public static async Task<GuestPassage> MigrateAsync(GuestPlan plan, Mode mode, int rate, long bytesPerSecond)
    {
        string ram = Report.Text($"{plan.Mebibytes}M");
        string uri = RdmaAddress.NextUri();
        TimeSpan after = GuestPlan.Settling + TimeSpan.FromSeconds(plan.BeforeSeconds);
        await using RdmamigProcess destination = await RdmamigProcess.IncomingGuestAsync(uri, "--ram", ram, "--writers", "1", "--for", "0.5");
        await using RdmamigProcess source = RdmamigProcess.Guest(
            uri,
            [
                "--ram", ram,
                "--dirty-rate", Report.Text($"{bytesPerSecond}"),
                "--working-set", Report.Text($"{plan.WorkingSetPercent}%"),
                "--pattern", "sequential",
                "--writers", "1",
                "--after", Report.Text($"{after.TotalSeconds}"),
                "--downtime-limit", Report.Text($"{plan.DowntimeLimitMilliseconds}"),
                "--timeout", Report.Text($"{plan.TimeoutSeconds}"),
                "--interval", Report.Text($"{SampleSeconds}"),
                .. mode == Mode.PinAll ? (string[])["--pin-all"] : [],
            ]);
        TimeSpan deadline = after + TimeSpan.FromSeconds(plan.TimeoutSeconds) + Deadlines.Migration;
        QmpEvent result = await source.Events.FirstAsync(e => e.Name == "RESULT", 0, deadline, "RESULT");
        bool completed = result.Status == "completed";
        double total = result.Values.GetProperty("total-time").GetDouble();
        RdmamigProcess there = completed ? destination : source;
        int exitCode = await there.Process.WaitForExitAsync(Deadlines.Migration);
        if (completed ? exitCode != 0 : total < plan.TimeoutSeconds * 1000 * NearlyAll)
        {
            throw new InvalidOperationException(
                $"rdmamig guest ended with {exitCode} after {result}\n{source.Process.Errors}\n{destination.Process.Errors}");
        }

        return Read(new GuestContestant(Peer.Rdmamig, mode), rate, source.Events.Snapshot(), there.Events.Snapshot());
    }

    /// <summary>The figures from what the two processes reported.</summary>
    /// <param name="contestant">Who they are.</param>
    /// <param name="rate">The rate that was asked for, MiB/s.</param>
    /// <param name="source">All events of the source.</param>
    /// <param name="last">All events of the process that has the guest in the end.</param>
    public static GuestPassage Read(GuestContestant contestant, int rate, IReadOnlyList<QmpEvent> source, IReadOnlyList<QmpEvent> last)
    {
        JsonElement result = source.First(e => e.Name == "RESULT").Values;
        bool converged = result.GetProperty("status").GetString() == "completed";
        DateTimeOffset begin = source.First(e => e.Name == "MIGRATION").Time;
        DateTimeOffset stop = source.First(e => e is { Name: "MIGRATION", Status: "pre-switchover" or "device" or "completed" or "failed" }).Time;
        WriteLog writes = new();
        foreach (QmpEvent sample in source.Where(e => e.Name == "GUEST" && e.Values.GetProperty("running").GetBoolean()))
        {
            writes.Add(sample.Time, sample.Values.GetProperty("written").GetInt64());
        }

        JsonElement[] verdicts = [.. last.Where(e => e.Name == "VERIFIED").Select(e => e.Values)];
        if (verdicts.Length == 0)
        {
            throw new InvalidOperationException("rdmamig guest did not verify its memory");
        }

        DateTimeOffset? settled = writes.FirstAt(DateTimeOffset.MinValue) + GuestPlan.Settling;
        return new GuestPassage
        {
            Contestant = contestant,
            Rate = rate,
            Converged = converged,
            RateBefore = (settled is { } from ? writes.RateBetween(from, begin) : null)
                ?? throw new InvalidOperationException("rdmamig guest reported no rate before the migration"),
            RateDuring = writes.LastAt(stop) is { } running ? writes.RateBetween(begin, running) : null,
            TotalMilliseconds = result.GetProperty("total-time").GetDouble(),
            DowntimeMilliseconds = converged ? verdicts[0].GetProperty("downtime").GetDouble() : null,
            Iterations = result.GetProperty("dirty-sync-count").GetInt32(),
            WritesLost = verdicts.Sum(LostIn),
        };
    }

    private static long LostIn(JsonElement verdict) =>
        new[] { "lost-writes", "late-writes", "torn-pages", "foreign-pages" }.Sum(name => verdict.GetProperty(name).GetInt64());
}
