using RdmaMigration.Bench.Bars;
using RdmaMigration.Bench.Matrix;

namespace RdmaMigration.Bench.Guests;

/// <summary>Everything that one run found: what its JSON file holds, and what table, verdict and plot are made of.</summary>
/// <param name="Started">When the run began, UTC.</param>
/// <param name="Host">What it ran on and with.</param>
/// <param name="Plan">What was measured.</param>
/// <param name="Passages">Every migration, in the order of measuring.</param>
internal sealed record GuestFigures(DateTimeOffset Started, MeasuredHost Host, GuestPlan Plan, IReadOnlyList<GuestPassage> Passages)
{
    private const double Bound = 1;

    /// <summary>The repeats of one contestant at one rate; null if it was not measured.</summary>
    public GuestCell? Find(GuestContestant contestant, int rate)
    {
        GuestPassage[] repeats = [.. Passages.Where(p => p.Contestant == contestant && p.Rate == rate)];
        return repeats.Length == 0 ? null : new GuestCell(repeats);
    }

    /// <summary>
    /// rdmamig takes at most as long as QEMU and stops the guest at most as long, and loses no write. A rate at which neither converges compares nothing.
    /// </summary>
    public IReadOnlyList<Bar> Bars()
    {
        List<Bar> bars = [];
        foreach (int rate in Plan.Rates)
        {
            GuestCell? qemu = Find(GuestContestant.Qemu, rate);
            foreach (GuestContestant ours in Plan.Contestants.Where(c => c.Peer == Peer.Rdmamig))
            {
                if (qemu is not null && Find(ours, rate) is { } cell && (qemu.Converges || cell.Converges))
                {
                    string what = Report.Text($"{rate} MiB/s, {ours} / QEMU");
                    bars.Add(new Bar($"total time: {what}", cell.TotalMilliseconds.Median / qemu.TotalMilliseconds.Median, Bound));
                    bars.Add(new Bar($"downtime: {what}", cell.DowntimeMilliseconds.Median / qemu.DowntimeMilliseconds.Median, Bound));
                }
            }
        }

        bars.Add(new Bar("writes lost, all migrations of rdmamig", Passages.Sum(p => p.WritesLost ?? 0), Bound: 0));
        return bars;
    }

    /// <summary>A table of medians, a row for each rate and contestant.</summary>
    public void Show() => Report.Table(
        Report.Text($"a guest that runs, {Plan}, medians of {Plan.Repeats}"),
        ["MiB/s", "", "before", "total, ms", "downtime, ms", "serial gap, ms", "iterations", "slowdown, %", "lost", "ended"],
        from rate in Plan.Rates
        from contestant in Plan.Contestants
        let cell = Find(contestant, rate)
        where cell is not null
        select (string[])[Report.Text($"{rate}"), contestant.ToString(), .. cell.ToColumns()]);
}

/// <summary>One contestant at one rate: the medians of its repeats. A migration that did not converge counts as longer than any other.</summary>
internal sealed class GuestCell(IReadOnlyList<GuestPassage> repeats)
{
    /// <summary>The median is that of a migration that converged.</summary>
    public bool Converges => double.IsFinite(TotalMilliseconds.Median);

    public Statistic TotalMilliseconds { get; } = Statistic.Of(repeats.Select(p => p.Converged ? p.TotalMilliseconds : double.PositiveInfinity));

    public Statistic DowntimeMilliseconds { get; } = Statistic.Of(repeats.Select(p => p.DowntimeMilliseconds ?? double.PositiveInfinity));

    public Statistic Iterations { get; } = Statistic.Of(repeats.Select(p => (double)p.Iterations));

    /// <summary>MiB/s before the migration.</summary>
    public Statistic RateBefore { get; } = Statistic.Of(repeats.Select(p => p.RateBefore));

    /// <summary>The guest's speed during the migration in percent of that before; null if it was not measured.</summary>
    public Statistic? SpeedPercent { get; } = OfMeasured(repeats.Select(p => 100 * p.Speed));

    /// <summary>QEMU's gap on COM1; null for rdmamig.</summary>
    public Statistic? SerialGapMilliseconds { get; } = OfMeasured(repeats.Select(p => p.SerialGapMilliseconds));

    /// <summary>Writes lost in all repeats; null for QEMU.</summary>
    public long? WritesLost { get; } = repeats.Any(p => p.WritesLost is not null) ? repeats.Sum(p => p.WritesLost ?? 0) : null;

    /// <summary>The columns of the table from the rate on.</summary>
    public IEnumerable<string> ToColumns() =>
    [
        RateBefore.ToText("0.00"),
        Time(TotalMilliseconds),
        Time(DowntimeMilliseconds),
        SerialGapMilliseconds?.ToText("0") ?? "",
        Iterations.ToText("0"),
        SpeedPercent is { } speed ? new Statistic(100 - speed.Median, 100 - speed.Most, 100 - speed.Least).ToText("0") : "?",
        WritesLost is { } lost ? Report.Text($"{lost}") : "",
        Report.Text($"{repeats.Count(p => p.Converged)} of {repeats.Count}"),
    ];

    private string Time(Statistic milliseconds) => Converges ? milliseconds.ToText("0") : "not converged";

    private static Statistic? OfMeasured(IEnumerable<double?> values)
    {
        double[] measured = [.. values.OfType<double>()];
        return measured.Length == 0 ? null : Statistic.Of(measured);
    }
}
