using RdmaMigration.Bench.Matrix;
using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace RdmaMigration.Bench.Plots;

/// <summary>What it costs to register a GiB, against the size of the regions: why one asks for large ones.</summary>
internal static class RegistrationPlot
{
    private static readonly Color s_register = new("#0072b2");
    private static readonly Color s_deregister = new("#d55e00");

    public static Figure Draw(MatrixFigures figures)
    {
        Figure figure = new("registration", "Registering RAM, by the size of a region", figures.Host.Short, width: 760, height: 440);
        Plot plot = figure.AddPanel("");
        double[] sizes = [.. figures.Registrations.Select(c => Math.Log2(c.RegionBytes))];
        Add(plot, sizes, figures.Registrations.Select(c => c.RegisterMilliseconds), s_register);
        Add(plot, sizes, figures.Registrations.Select(c => c.DeregisterMilliseconds), s_deregister);
        plot.Axes.Bottom.TickGenerator = new NumericManual(sizes, [.. figures.Registrations.Select(c => Words.OfBytes(c.RegionBytes))]);
        plot.XLabel("region");
        plot.YLabel("ms per GiB");
        plot.Axes.SetLimits(
            sizes[0] - 0.5, sizes[^1] + 0.5, 0, 1.1 * figures.Registrations.Max(c => Math.Max(c.RegisterMilliseconds, c.DeregisterMilliseconds)));
        figure.AddLegend("register", s_register);
        figure.AddLegend("deregister", s_deregister);
        return figure;
    }

    private static void Add(Plot plot, double[] sizes, IEnumerable<double> milliseconds, Color color)
    {
        Scatter line = plot.Add.Scatter(sizes, milliseconds.ToArray(), color);
        line.LineWidth = 2;
        line.MarkerSize = 8;
    }
}
