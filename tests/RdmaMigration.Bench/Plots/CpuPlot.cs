using RdmaMigration.Bench.Matrix;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace RdmaMigration.Bench.Plots;

/// <summary>CPU seconds per GiB: a panel a mode; for each route the sending and the receiving program, user time below system time.</summary>
internal static class CpuPlot
{
    private const double BarWidth = 0.8;
    private const int Group = 3;
    private static readonly Color s_user = new("#0072b2");
    private static readonly Color s_system = new("#a6cfe8");

    public static Figure Draw(MatrixFigures figures)
    {
        Workload workload = MatrixPlots.Largest(figures, MatrixPlots.LeastZeroPercent(figures));
        Figure figure = new(
            "cpu", $"CPU time of the sending (s) and the receiving (r) program, {workload}", MatrixPlots.Caption(figures),
            width: 440 * figures.Modes.Count, height: 440);
        double top = 1.1 * figures.Modes
            .SelectMany(mode => figures.Routes.Select(route => figures.Find(route, mode, workload)))
            .Max(cell => cell is null ? 0 : Math.Max(cell.SenderPerGibibyte.Total, cell.ReceiverPerGibibyte.Total));
        foreach (Mode mode in figures.Modes)
        {
            Plot plot = figure.AddPanel(Words.Of(mode));
            List<Tick> ticks = [];
            for (int r = 0; r < figures.Routes.Count; r++)
            {
                if (figures.Find(figures.Routes[r], mode, workload) is not { } cell)
                {
                    continue;
                }

                int left = r * Group;
                plot.Add.Bars((Bar[])[.. Stack(left, cell.SenderPerGibibyte), .. Stack(left + 1, cell.ReceiverPerGibibyte)]);
                string[] names = figures.Routes[r].ToString().Split(" → ");
                ticks.Add(new Tick(left, "s"));
                ticks.Add(new Tick(left + 1, "r"));
                ticks.Add(new Tick(left + 0.5, $"\n{names[0]} →\n{names[1]}"));
            }

            plot.Axes.Bottom.TickGenerator = new NumericManual([.. ticks]);
            plot.Axes.Bottom.MajorTickStyle.Length = 0;
            plot.Axes.SetLimits(-1, (figures.Routes.Count * Group) - 1, 0, top);
            if (mode == figures.Modes[0])
            {
                plot.YLabel("CPU seconds per GiB of RAM");
            }
        }

        figure.AddLegend("user", s_user);
        figure.AddLegend("system", s_system);
        return figure;
    }

    private static IEnumerable<Bar> Stack(double position, ProcessorTime time) =>
    [
        new Bar { Position = position, Value = time.User, Size = BarWidth, FillColor = s_user, LineWidth = 0 },
        new Bar { Position = position, ValueBase = time.User, Value = time.Total, Size = BarWidth, FillColor = s_system, LineWidth = 0 },
    ];
}
