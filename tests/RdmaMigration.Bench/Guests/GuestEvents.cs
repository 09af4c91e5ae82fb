using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Guests;

/// <summary>Reads what two processes of <c>rdmamig guest</c> report of a migration.</summary>
internal static class GuestEvents
{
    /// <summary>The figures from what the two processes reported.</summary>
    /// <param name="contestant">Who they are.</param>
    /// <param name="rate">The rate that was asked for, MiB/s.</param>
    /// <param name="source">All events of the source.</param>
    /// <param name="last">All events of the process that has the guest in the end.</param>
    public static GuestPassage Read(GuestContestant contestant, int rate, IReadOnlyList<QmpEvent> source, IReadOnlyList<QmpEvent> last)
    {
        QmpEvent end = source.First(e => e.Name == "RESULT");
        JsonElement result = end.Values;
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
            TotalMilliseconds = converged ? result.GetProperty("total-time").GetDouble() : (end.Time - begin).TotalMilliseconds,
            DowntimeMilliseconds = converged ? verdicts[0].GetProperty("downtime").GetDouble() : null,
            SourceDowntimeMilliseconds = converged && result.TryGetProperty("downtime", out JsonElement downtime) ? downtime.GetDouble() : null,
            Iterations = result.GetProperty("dirty-sync-count").GetInt32(),
            WritesLost = verdicts.Sum(LostIn),
        };
    }

    private static long LostIn(JsonElement verdict) =>
        new[] { "lost-writes", "late-writes", "torn-pages", "foreign-pages" }.Sum(name => verdict.GetProperty(name).GetInt64());
}
