using RdmaMigration.Bench.Matrix;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace RdmaMigration.Bench.Plots;

/// <summary>Seconds of the whole migration: a panel a share of zero memory, at the largest size; bars by mode and route.</summary>
internal static class TotalTimePlot
{
    private const double BarWidth = 0.8;

    public static Figure Draw(MatrixFigures figures)
    {
        double[] shares = [.. figures.Workloads.Select(w => w.ZeroPercent).Distinct().Order()];
        Figure figure = new(
            "total-time", "Total time of a migration", MatrixPlots.Caption(figures), width: Math.Max(480 * shares.Length, 800), height: 440);
        int group = figures.Routes.Count + 1;
        double middle = (figures.Routes.Count - 1) / 2.0;
        foreach (double share in shares)
        {
            Workload workload = MatrixPlots.Largest(figures, share);
            Plot plot = figure.AddPanel(workload.ToString());
            List<Bar> bars = [];
            for (int m = 0; m < figures.Modes.Count; m++)
            {
                for (int r = 0; r < figures.Routes.Count; r++)
                {
                    if (figures.Find(figures.Routes[r], figures.Modes[m], workload) is { } cell)
                    {
                        bars.Add(ToBar((m * group) + r, cell.TotalMilliseconds, Palette.Of(figures.Routes[r])));
                    }
                }
            }

            plot.Add.Bars(bars).ValueLabelStyle.FontSize = 11;
            plot.Axes.Bottom.TickGenerator = new NumericManual(
                [.. figures.Modes.Select((_, m) => (m * group) + middle)], [.. figures.Modes.Select(Words.Of)]);
            plot.Axes.Bottom.MajorTickStyle.Length = 0;
            plot.Axes.SetLimits(-1, (figures.Modes.Count * group) - 1, 0, 1.12 * bars.Max(bar => bar.Value + bar.Error));
            if (share == shares[0])
            {
                plot.YLabel("seconds");
            }
        }

        foreach (Route route in figures.Routes)
        {
            figure.AddLegend(route.ToString(), Palette.Of(route));
        }

        return figure;
    }

    private static Bar ToBar(double position, Statistic milliseconds, Color color)
    {
        double seconds = milliseconds.Median / 1000;
        return new Bar
        {
            Position = position,
            Value = seconds,
            Size = BarWidth,
            FillColor = color,
            LineWidth = 0,
            Error = (milliseconds.Most - milliseconds.Median) / 1000,
            ErrorNegative = false,
            ValueLabel = seconds < 9.95 ? Report.Text($"{seconds:0.0}") : Report.Text($"{seconds:0}"),
        };
    }
}
