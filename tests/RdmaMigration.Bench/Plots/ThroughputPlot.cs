using RdmaMigration.Bench.Matrix;
using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace RdmaMigration.Bench.Plots;

/// <summary>MiB/s against the machine's size: a panel a mode, a line a route, and ib_write_bw as the bound.</summary>
internal static class ThroughputPlot
{
    public static Figure Draw(MatrixFigures figures)
    {
        double zeroPercent = MatrixPlots.LeastZeroPercent(figures);
        Workload[] sizes = [.. figures.Workloads.Where(w => w.ZeroPercent == zeroPercent).OrderBy(w => w.Mebibytes)];
        double top = Top(figures, sizes);
        Figure figure = new(
            "throughput", "Throughput: the machine's RAM over the migration's total time", MatrixPlots.Caption(figures),
            width: 360 * figures.Modes.Count, height: 440);
        foreach (Mode mode in figures.Modes)
        {
            Plot plot = figure.AddPanel(Words.Of(mode));
            foreach (Route route in figures.Routes)
            {
                AddLine(plot, figures, route, mode, sizes);
            }

            plot.XLabel("machine's RAM");
            plot.Axes.Bottom.TickGenerator = new NumericManual(
                [.. sizes.Select(X)], [.. sizes.Select(size => Words.OfBytes((long)size.Mebibytes << 20))]);
            plot.Axes.SetLimits(X(sizes[0]) - 0.4, X(sizes[^1]) + 0.4, 0, top);
            if (mode == figures.Modes[0])
            {
                plot.YLabel("MiB/s");
            }

            if (figures.WriteBandwidth is { } bandwidth)
            {
                plot.Add.HorizontalLine(bandwidth, 1.5f, Palette.Reference, LinePattern.Dashed);
                AddRatioAxis(plot, bandwidth, top, mode == figures.Modes[^1]);
            }
        }

        foreach (Route route in figures.Routes)
        {
            figure.AddLegend(route.ToString(), Palette.Of(route));
        }

        if (figures.WriteBandwidth is { } reference)
        {
            figure.AddLegendLine(Report.Text($"ib_write_bw, 1 MiB: {reference:0} MiB/s"), Palette.Reference);
        }

        return figure;
    }

    private static double X(Workload size) => Math.Log2(size.Mebibytes);

    private static double Top(MatrixFigures figures, Workload[] sizes) => 1.08 * figures.Passages
        .Where(p => sizes.Contains(p.Workload))
        .Select(p => p.Rate)
        .Append(figures.WriteBandwidth ?? 0)
        .Max();

    private static void AddLine(Plot plot, MatrixFigures figures, Route route, Mode mode, Workload[] sizes)
    {
        (double X, Statistic Rate)[] points =
            [.. sizes.Select(size => (X(size), figures.Find(route, mode, size)?.Rate)).Where(p => p.Rate is not null).Select(p => (p.Item1, p.Rate!.Value))];
        foreach ((double x, Statistic rate) in points)
        {
            plot.Add.Line(x, rate.Least, x, rate.Most).Color = Palette.Of(route);
        }

        Scatter line = plot.Add.Scatter(points.Select(p => p.X).ToArray(), points.Select(p => p.Rate.Median).ToArray(), Palette.Of(route));
        line.LineWidth = 2;
        line.MarkerSize = 8;
    }

    // The same scale once more on the right, in shares of what the device can.
    private static void AddRatioAxis(Plot plot, double bandwidth, double top, bool labelled)
    {
        double[] shares = [.. Enumerable.Range(0, 1 + (int)(top / bandwidth / 0.25)).Select(i => i * 0.25)];
        plot.Axes.Right.TickGenerator = new NumericManual(
            [.. shares.Select(share => share * bandwidth)], [.. shares.Select(share => Report.Text($"{share:0.00}"))]);
        plot.Axes.SetLimitsY(0, top, plot.Axes.Right);
        plot.Axes.Right.TickLabelStyle.ForeColor = Palette.Reference;
        plot.Axes.Right.MajorTickStyle.Color = Palette.Reference;
        if (labelled)
        {
            plot.Axes.Right.Label.Text = "of ib_write_bw";
            plot.Axes.Right.Label.ForeColor = Palette.Reference;
        }
    }
}
