using RdmaMigration.Bench.Matrix;

namespace RdmaMigration.Bench.Plots;

/// <summary>All pictures of a matrix.</summary>
internal static class MatrixPlots
{
    public static IEnumerable<Figure> Draw(MatrixFigures figures)
    {
        yield return ThroughputPlot.Draw(figures);
        yield return TotalTimePlot.Draw(figures);
        yield return CpuPlot.Draw(figures);
        if (figures.Registrations.Count > 0)
        {
            yield return RegistrationPlot.Draw(figures);
        }
    }

    /// <summary>What the pictures show of the zero-share axis where they show one share: the smallest.</summary>
    public static double LeastZeroPercent(MatrixFigures figures) => figures.Workloads.Min(w => w.ZeroPercent);

    /// <summary>The largest machine with that share of zero memory.</summary>
    public static Workload Largest(MatrixFigures figures, double zeroPercent) =>
        figures.Workloads.Where(w => w.ZeroPercent == zeroPercent).MaxBy(w => w.Mebibytes)!;

    /// <summary>On what, with what, and how often.</summary>
    public static string Caption(MatrixFigures figures) =>
        $"{figures.Host.Short}; {(figures.Repeats == 1 ? "one run each" : Report.Text($"medians of {figures.Repeats} interleaved runs"))}";
}
