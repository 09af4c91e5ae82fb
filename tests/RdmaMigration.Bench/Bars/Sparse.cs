using System.CommandLine;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Bars;

/// <summary>rdmamig to rdmamig: what is zero or was never touched costs next to nothing.</summary>
internal static class Sparse
{
    private const double ShareBound = 1.2;
    private const double HugeBound = 3;
    private const double MostlyZero = 90;
    private const int DenseMebibytes = 64;
    private static readonly Route s_route = new(Peer.Rdmamig, Peer.Rdmamig);

    public static Command Create()
    {
        Option<int> rounds = new("--repeats") { Description = "How often each is measured, interleaved", DefaultValueFactory = _ => 3 };
        Option<int> ram = new("--ram") { Description = "The full machine's RAM in MiB", DefaultValueFactory = _ => 512 };
        Option<int> huge = new("--huge") { Description = "The sparse machine's RAM in GiB", DefaultValueFactory = _ => 64 };
        Option<FileInfo?> json = new("--json") { Description = "Also write the figures to this file" };
        Command command = new(
            "sparse",
            "rdmamig → rdmamig: a machine that is 90 % zero takes at most 1.2 times its share of the full one's time; one of 64 GiB with 64 MiB in use at most "
            + "3 times that of a dense one of 64 MiB. Exit code 3 if not.")
        {
            rounds, ram, huge, json,
        };
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(rounds), parsed.GetValue(ram), parsed.GetValue(huge), parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(int rounds, int mebibytes, int hugeGibibytes, FileInfo? json)
    {
        using Workbench full = new("pc", new Workload(mebibytes, 0));
        using Workbench mostlyZero = new("pc", new Workload(mebibytes, MostlyZero));
        using Workbench dense = new("pc", new Workload(DenseMebibytes, 0));
        foreach (Workbench bench in (Workbench[])[full, mostlyZero, dense])
        {
            await bench.SaveAloneAsync();
        }

        int hugeMebibytes = hugeGibibytes << 10;
        using Workbench huge = Workbench.OfSaved("pc", hugeMebibytes, path => EnlargedMachine.Write(dense.SavedMachine, path, DenseMebibytes, hugeMebibytes));
        Contestant[] contestants =
        [
            new(full, new Workload(mebibytes, 0), s_route, Mode.Dynamic),
            new(mostlyZero, new Workload(mebibytes, MostlyZero), s_route, Mode.Dynamic),
            new(dense, new Workload(DenseMebibytes, 0), s_route, Mode.Dynamic),
            new(huge, new Workload(hugeMebibytes, 100.0 * (hugeMebibytes - DenseMebibytes) / hugeMebibytes), s_route, Mode.Dynamic),
        ];
        RoundFigures figures = await Rounds.RunAsync(contestants, rounds);
        Rounds.Show(Report.Text($"machines that are mostly zero, medians of {rounds}"), contestants, figures);
        double share = (double)contestants[1].Workload.DataMebibytes / mebibytes;
        return await Bar.ReportAsync(
            "",
            [
                new Bar(Report.Text($"total time: {MostlyZero:0} % zero / {share:0.00} of the full one's"), Time(1) / (share * Time(0)), ShareBound),
                new Bar(Report.Text($"total time: {hugeGibibytes} GiB with {DenseMebibytes} MiB in use / {DenseMebibytes} MiB"), Time(3) / Time(2), HugeBound),
            ],
            figures,
            json);

        double Time(int index) => figures.Of(contestants[index], p => p.TotalMilliseconds).Median;
    }
}
