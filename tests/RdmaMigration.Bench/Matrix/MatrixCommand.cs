using System.CommandLine;
using RdmaMigration.Bench.Plots;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Matrix;

/// <summary><c>rdmamig-bench matrix</c> and <c>rdmamig-bench plot FILE.json</c>.</summary>
internal static class MatrixCommand
{
    public static Command Create()
    {
        ListOption<int> sizes = ListOption.OfNumbers("--sizes", "The machine's RAM in MiB", [64, 256, 512], 16, 1 << 20);
        ListOption<int> zero = ListOption.OfNumbers("--zero", "Percent of the RAM that was never written", [0, 50, 90], 0, 99);
        Option<int> repeats = new("--repeats") { Description = "How often each migration is measured, interleaved", DefaultValueFactory = _ => 3 };
        ListOption<Route> routes = ListOption.OfNames("--pairs", "Who sends to whom", Route.All, route => route.ToOption());
        ListOption<Mode> modes = ListOption.OfNames("--modes", "How", Enum.GetValues<Mode>(), Words.Of);
        Option<string> machine = new("--machine") { Description = "QEMU's -M", DefaultValueFactory = _ => "pc" };
        Option<string> to = Output();
        Command matrix = new(
            "matrix",
            """
            Migrations between QEMU and rdmamig, beside ib_write_bw and ib_send_lat, as matrix.json, matrix.md and plots.

            Every pair and mode is measured for every size and share of zero memory; repeats go in turn over all of them. About 5 s a migration of
            64 MiB in a soft-RoCE guest without KVM. Example:
              rdmamig-bench matrix --sizes 64,256 --zero 0,90 --modes dynamic,pin-all --repeats 5 --to results
            """)
        {
            sizes.Option, zero.Option, repeats, routes.Option, modes.Option, machine, to,
        };
        matrix.SetAction(async (parsed, _) =>
        {
            MatrixFigures figures = await MatrixRun.RunAsync(new MatrixPlan(
                parsed.GetValue(machine)!,
                [.. zero.ValueIn(parsed).SelectMany(percent => sizes.ValueIn(parsed).Select(mebibytes => new Workload(mebibytes, percent)))],
                routes.ValueIn(parsed),
                modes.ValueIn(parsed),
                parsed.GetValue(repeats)));
            string folder = Directory.CreateDirectory(parsed.GetValue(to)!).FullName;
            await figures.WriteAsync(Path.Combine(folder, "matrix.json"));
            await WriteAsync(figures, folder);
            return 0;
        });
        return matrix;
    }

    public static Command CreatePlot()
    {
        Argument<FileInfo> file = new("FILE") { Description = "matrix.json" };
        Option<string> to = Output();
        Command plot = new("plot", "Table and plots of a finished matrix, from its JSON. Needs no RDMA device. Example: rdmamig-bench plot matrix.json --to .")
        {
            file, to,
        };
        plot.SetAction(async (parsed, _) =>
        {
            await WriteAsync(await MatrixFigures.ReadAsync(parsed.GetValue(file)!.FullName), Directory.CreateDirectory(parsed.GetValue(to)!).FullName);
            return 0;
        });
        return plot;
    }

    private static async Task WriteAsync(MatrixFigures figures, string folder)
    {
        string markdown = MatrixMarkdown.Write(figures);
        await File.WriteAllTextAsync(Path.Combine(folder, "matrix.md"), markdown);
        Report.Say(markdown);
        foreach (Figure figure in MatrixPlots.Draw(figures))
        {
            figure.Save(folder);
        }

        Report.Say($"figures, table and plots: {folder}");
    }

    private static Option<string> Output() => new("--to")
    {
        Description = "The folder for what is written",
        DefaultValueFactory = _ => Path.Combine(Executables.RepositoryRoot, ".artifacts", "bench"),
    };
}
