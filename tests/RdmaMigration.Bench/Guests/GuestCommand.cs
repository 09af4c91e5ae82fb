using System.CommandLine;
using RdmaMigration.Bench.Bars;
using RdmaMigration.Bench.Plots;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Guests;

/// <summary><c>rdmamig-bench guest</c>.</summary>
internal static class GuestCommand
{
    private const int LeastMebibytes = 32;

    /// <summary>The RAM of QEMU's machine "pc" is in one piece up to here.</summary>
    private const int MostMebibytes = 3072;

    public static Command Create()
    {
        ListOption<int> rates = ListOption.OfNumbers("--rates", "Dirty rates in MiB/s", [2, 4, 8], 1, 1 << 20);
        ListOption<Mode> modes = ListOption.OfNames("--modes", "How rdmamig sends RAM", [Mode.Dynamic, Mode.PinAll], Words.Of);
        Option<int> ram = Number("--ram", "MIB", "The guest's RAM in MiB", 256, LeastMebibytes, MostMebibytes);
        Option<int> workingSet = Number(
            "--working-set",
            "PERCENT",
            Report.Text($"The share of RAM that the guest writes to. The first {GuestPlan.FirstMebibyte} MiB of QEMU's guest are not part of it"),
            25,
            1,
            100);
        Option<int> repeats = Number("--repeats", "N", "How often each migration is measured, interleaved", 3, 1, 1000);
        Option<int> downtimeLimit = Number("--downtime-limit", "MS", "The downtime limit of both programs, in milliseconds", 300, 1, 2_000_000);
        Option<int> timeout = Number("--timeout", "SECONDS", "A migration that takes longer is cancelled and counts as not converged", 60, 1, 86_400);
        Option<int> before = Number("--before", "SECONDS", "How long the guest's rate is measured before it moves", 3, 1, 3600);
        Option<string> to = new("--to")
        {
            Description = "The folder for figures and plot",
            DefaultValueFactory = _ => Path.Combine(Executables.RepositoryRoot, ".artifacts", "bench"),
        };
        Option<FileInfo?> json = new("--json") { Description = "The file for the figures [default: guest.json in the folder]" };
        Command command = new(
            "guest",
            """
            Moves guests that run and dirty memory: rdmamig guest over RDMA beside QEMU → QEMU with pin-all, by dirty rate. Exit code 3 if rdmamig takes
            longer than QEMU, stops the guest longer, or loses a write.

            QEMU's guest writes a word of one page after the other at the rate, some at each tick of its timer. rdmamig's guest writes as many whole pages
            in turn at the rate that QEMU's guest reached, and verifies its memory after the move.
              total time   what the source reports
              downtime     QEMU: what query-migrate reports, until the source has sent everything; the serial gap, from the guest's last character on
                           COM1 at the source to the first at the destination, includes the start there
                           rdmamig: from the last write at the source to the first at the destination
              iterations   dirty-sync-count
              slowdown     by how much less the guest writes from the start of the migration until it is stopped than before
            A migration of 64 MiB takes about 20 s in a soft-RoCE guest without KVM. Example:
              rdmamig-bench guest --ram 64 --rates 2,4 --modes pin-all --repeats 1 --to results
            """)
        {
            rates.Option, modes.Option, ram, workingSet, repeats, downtimeLimit, timeout, before, to, json,
        };
        command.Validators.Add(result =>
        {
            if (result.Errors.Any() || Plan(result.GetValue(ram), result.GetValue(workingSet), [], []).Fits)
            {
                return;
            }

            result.AddError(Report.Text(
                $"--working-set: {result.GetValue(workingSet)} % of {result.GetValue(ram)} MiB does not fit above the first {GuestPlan.FirstMebibyte} MiB"));
        });
        command.SetAction((parsed, _) => RunAsync(
            Plan(parsed.GetValue(ram), parsed.GetValue(workingSet), rates.ValueIn(parsed), modes.ValueIn(parsed)) with
            {
                Repeats = parsed.GetValue(repeats),
                DowntimeLimitMilliseconds = parsed.GetValue(downtimeLimit),
                TimeoutSeconds = parsed.GetValue(timeout),
                BeforeSeconds = parsed.GetValue(before),
            },
            parsed.GetValue(to)!,
            parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(GuestPlan plan, string to, FileInfo? json)
    {
        GuestFigures figures = await GuestRun.RunAsync(plan);
        string folder = Directory.CreateDirectory(to).FullName;
        GuestPlot.Draw(figures).Save(folder);
        figures.Show();
        Report.Say($"plot: {Path.Combine(folder, "guest.png")}");
        return await Bar.ReportAsync("", figures.Bars(), figures, json ?? new FileInfo(Path.Combine(folder, "guest.json")));
    }

    private static GuestPlan Plan(int mebibytes, int workingSetPercent, IReadOnlyList<int> rates, IReadOnlyList<Mode> modes) =>
        new() { Mebibytes = mebibytes, WorkingSetPercent = workingSetPercent, Rates = rates, Modes = modes };

    private static Option<int> Number(string name, string unit, string description, int standard, int least, int most)
    {
        Option<int> option = new(name) { Description = description, HelpName = unit, DefaultValueFactory = _ => standard };
        option.Validators.Add(result =>
        {
            if (!result.Errors.Any() && result.GetValueOrDefault<int>() is int value && (value < least || value > most))
            {
                result.AddError(Report.Text($"{name}: want a whole number from {least} to {most}"));
            }
        });
        return option;
    }
}
