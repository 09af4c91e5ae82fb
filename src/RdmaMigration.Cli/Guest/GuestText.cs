using System.Globalization;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Guest;

/// <summary>A guest's figures in words, the same on a terminal and in a log.</summary>
internal static class GuestText
{
    /// <summary><c>guest: 198.30 MiB/s written, 1.20 GiB in all</c>.</summary>
    public static string Figures(GuestFigures figures)
    {
        string throttle = figures.ThrottlePercent > 0 ? $", throttled by {figures.ThrottlePercent} %" : "";
        string stopped = figures.IsRunning ? "" : ", stopped";
        return $"guest: {ByteSize.Format((ulong)figures.Rate)}/s written, {ByteSize.Format((ulong)figures.BytesWritten)} in all{throttle}{stopped}";
    }

    /// <summary><c>verified: 131072 pages, writes lost: 0, torn pages: 0; downtime 41.3 ms</c>.</summary>
    public static string Verdict(GuestVerdict verdict)
    {
        List<string> parts = [$"{verdict.Pages} pages", $"writes lost: {verdict.LostWrites}", $"torn pages: {verdict.TornPages}"];
        if (verdict.ForeignPages > 0)
        {
            parts.Add($"pages of other content: {verdict.ForeignPages}");
        }

        if (verdict.LateWrites > 0)
        {
            parts.Add($"writes after the stop: {verdict.LateWrites}");
        }

        string result = $"{(verdict.IsIntact ? "verified" : "NOT INTACT")}: {string.Join(", ", parts)}";
        result += verdict.Downtime is { } downtime ? string.Create(CultureInfo.InvariantCulture, $"; downtime {downtime.TotalMilliseconds:0.0} ms") : "";
        return result + (verdict.FirstBadPage is { } first
            ? $"; first in pages {first} to {Math.Min(first + GuestState.RegionPages, verdict.Pages) - 1} of 4 KiB"
            : "");
    }
}
