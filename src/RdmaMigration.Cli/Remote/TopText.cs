using System.Globalization;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Remote;

/// <summary>A migration as rows for a terminal, and as one line for a log.</summary>
internal static class TopText
{
    private const int BarWidth = 40;
    private const int SparklineWidth = 40;

    /// <summary>The rows: a label and its text. Rows without a figure are left out.</summary>
    public static IEnumerable<(string Label, string Text, Tone Tone)> Rows(TopHistory history)
    {
        if (history.Latest is not { } sample)
        {
            yield break;
        }

        MigrationQuery migration = sample.Migration;
        yield return ("role", $"{Role(sample.Role)}, machine {sample.RunState}", Tone.Plain);
        yield return ("status", sample.Status, ToneOf(migration.KnownStatus));
        yield return ("phases", string.Join(" → ", history.Phases.Select(phase => $"{phase.Status} {ProgressText.Clock(phase.Time)}")), Tone.Plain);
        if (history.Ram is { } ram)
        {
            yield return ("RAM", $"{Bar(ram)}  {Share(ram)}", Tone.Plain);
            yield return ("transferred", $"{Size(ram.Transferred)}, {Size(ram.Remaining)} remaining, {Passes(ram)}", Tone.Plain);
            yield return ("rate", $"{Graph(history.Rates)}{Size(history.Rate)}/s", Tone.Plain);
            yield return ("dirty rate", $"{Graph(history.DirtyRates)}{DirtyRate(ram)}", Tone.Plain);
        }
        else if (sample.Role is MigrationRole.Destination)
        {
            yield return ("RAM", "QEMU has no statistics at a destination", Tone.Dim);
        }

        if (Times(migration) is { Length: > 0 } times)
        {
            yield return ("time", times, Tone.Plain);
        }

        if (migration.Throttle > 0)
        {
            yield return ("throttle", string.Create(CultureInfo.InvariantCulture, $"{migration.Throttle} %"), Tone.Caution);
        }

        if (migration.ErrorDescription is { } error)
        {
            yield return ("error", error, Tone.Bad);
        }
    }

    /// <summary>All in one line.</summary>
    public static string Line(TopHistory history)
    {
        TopSample sample = history.Latest!;
        List<string> parts = [];
        if (history.Ram is { } ram)
        {
            parts.AddRange([Share(ram), $"{Size(ram.Transferred)} transferred", $"{Size(history.Rate)}/s", Passes(ram), $"dirty {DirtyRate(ram)}"]);
        }

        if (Times(sample.Migration) is { Length: > 0 } times)
        {
            parts.Add(times);
        }

        if (sample.Migration.ErrorDescription is { } error)
        {
            parts.Add(error);
        }

        return $"{Role(sample.Role)}, {sample.RunState}, {sample.Status}" + (parts.Count > 0 ? $": {string.Join(", ", parts)}" : "");
    }

    /// <summary>The word for people and programs.</summary>
    public static string Role(MigrationRole role) => role switch
    {
        MigrationRole.None => "idle",
        MigrationRole.Source => "source",
        MigrationRole.Destination => "destination",
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "no such role"),
    };

    private static Tone ToneOf(MigrationStatus status) => status switch
    {
        MigrationStatus.Completed => Tone.Good,
        MigrationStatus.Failed or MigrationStatus.Cancelled => Tone.Bad,
        MigrationStatus.PreSwitchover or MigrationStatus.Cancelling => Tone.Caution,
        _ => Tone.Plain,
    };

    private static string Bar(RamQuery ram)
    {
        int full = ram.Total > 0 ? (int)(ram.Done * BarWidth / ram.Total) : 0;
        return new string('█', full) + new string('░', BarWidth - full);
    }

    private static string Graph(IEnumerable<double> values) => Sparkline.Of(values, SparklineWidth) is { Length: > 0 } line ? $"{line}  " : "";

    private static string Share(RamQuery ram) => string.Create(
        CultureInfo.InvariantCulture, $"{Size(ram.Done)} of {Size(ram.Total)} ({(ram.Total > 0 ? ram.Done * 100 / ram.Total : 0)} %)");

    private static string Passes(RamQuery ram) => string.Create(CultureInfo.InvariantCulture, $"{ram.Passes} {(ram.Passes == 1 ? "pass" : "passes")}");

    private static string DirtyRate(RamQuery ram) => string.Create(
        CultureInfo.InvariantCulture, $"{ram.DirtyPagesRate} pages/s ({Size(ram.DirtyPagesRate * (double)ram.PageSize)}/s)");

    private static string Times(MigrationQuery migration)
    {
        List<string> times = [];
        if (migration.TotalTime is { } total)
        {
            times.Add($"{ProgressText.Clock(total)} total");
        }

        AddMilliseconds("setup", migration.SetupTime);
        AddMilliseconds("expected downtime", migration.ExpectedDowntime);
        AddMilliseconds("downtime", migration.Downtime);
        return string.Join(", ", times);

        void AddMilliseconds(string name, TimeSpan? time)
        {
            if (time is { } known)
            {
                times.Add(string.Create(CultureInfo.InvariantCulture, $"{name} {known.TotalMilliseconds} ms"));
            }
        }
    }

    private static string Size(double bytes) => ByteSize.Format((ulong)Math.Clamp(bytes, 0, long.MaxValue));
}
