using RdmaMigration.Bench.Guests;
using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace RdmaMigration.Bench.Plots;

/// <summary>Total time, downtime and the guest's speed against the dirty rate: a line a contestant. Where it does not converge, it has no time.</summary>
internal static class GuestPlot
{
    private const double Margin = 1.12;

    public static Figure Draw(GuestFigures figures)
    {
        GuestPlan plan = figures.Plan;
        string repeats = plan.Repeats == 1 ? "one run each" : Report.Text($"medians of {plan.Repeats} interleaved runs");
        Figure figure = new(
            "guest", Report.Text($"Migration of a guest that runs: {plan}"), $"{figures.Host.Short}; {repeats}", width: 1260, height: 440);
        AddPanel(figure, figures, "Total time", "seconds", cell => cell.Converges ? cell.TotalMilliseconds.Median / 1000 : null);
        AddPanel(figure, figures, "Downtime", "ms", cell => cell.Converges ? cell.DowntimeMilliseconds.Median : null);
        AddPanel(figure, figures, "Guest's speed during the migration", "% of the rate before", cell => cell.SpeedPercent?.Median);
        foreach (GuestContestant contestant in plan.Contestants)
        {
            figure.AddLegend(contestant.ToString(), Palette.Of(contestant));
        }

        return figure;
    }

    private static void AddPanel(Figure figure, GuestFigures figures, string title, string unit, Func<GuestCell, double?> figureOf)
    {
        Plot plot = figure.AddPanel(title);
        double[] rates = [.. figures.Plan.Rates.Select(rate => (double)rate).Order()];
        double most = 0;
        foreach (GuestContestant contestant in figures.Plan.Contestants)
        {
            (double X, double Y)[] points =
            [
                .. from rate in figures.Plan.Rates.Order()
                   let cell = figures.Find(contestant, rate)
                   let y = cell is null ? null : figureOf(cell)
                   where y is not null
                   select (Math.Log2(rate), y.Value),
            ];
            Scatter line = plot.Add.Scatter(points.Select(p => p.X).ToArray(), points.Select(p => p.Y).ToArray(), Palette.Of(contestant));
            line.LineWidth = 2;
            line.MarkerSize = 8;
            most = points.Select(p => p.Y).Append(most).Max();
        }

        plot.XLabel("dirty rate, MiB/s");
        plot.YLabel(unit);
        plot.Axes.Bottom.TickGenerator = new NumericManual([.. rates.Select(Math.Log2)], [.. rates.Select(rate => Report.Text($"{rate:0}"))]);
        plot.Axes.SetLimits(Math.Log2(rates[0]) - 0.4, Math.Log2(rates[^1]) + 0.4, 0, most > 0 ? Margin * most : 1);
    }
}
