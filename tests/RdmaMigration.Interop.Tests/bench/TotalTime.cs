using System.Globalization;
using System.Text.RegularExpressions;
using RdmaMigration.Interop.Harness;

namespace RdmaMigration.Interop.Bench;

/// <summary>The source's total-time towards a destination QEMU and towards rdmamig, and the bandwidth that perftest finds.</summary>
internal static partial class TotalTime
{
    private const int Writes = 300;

    public static async Task<int> RunAsync(int pairs, int mebibytes, string machineType, FileInfo? json)
    {
        using var bench = new Workbench(machineType, mebibytes, halfZero: false);
        double before = await WriteBandwidthAsync();
        List<ModeFigures> modes = [];
        foreach (bool pinAll in (bool[])[false, true])
        {
            List<double> qemu = [];
            List<double> rdmamig = [];
            for (int i = 0; i < pairs; i++)
            {
                // Who goes first alternates, so that neither always meets the colder machine.
                if (i % 2 == 0)
                {
                    qemu.Add(await ToQemuAsync(bench, pinAll));
                    rdmamig.Add(await ToRdmamigAsync(bench, pinAll));
                }
                else
                {
                    rdmamig.Add(await ToRdmamigAsync(bench, pinAll));
                    qemu.Add(await ToQemuAsync(bench, pinAll));
                }

                Report.Say(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Mode(pinAll)} pair {i + 1}: QEMU → QEMU {qemu[^1]:0} ms, QEMU → rdmamig {rdmamig[^1]:0} ms"));
            }

            modes.Add(new ModeFigures(Mode(pinAll), [.. qemu], [.. rdmamig], mebibytes));
        }

        double after = await WriteBandwidthAsync();
        Report.Table(
            $"total-time, {machineType}, {mebibytes} MiB random, medians of {pairs} pairs",
            ["mode", "QEMU → QEMU", "QEMU → rdmamig", "ratio", "rdmamig MiB/s"],
            modes.Select(m => new[]
            {
                m.Mode, Text($"{m.QemuMedian:0} ms"), Text($"{m.RdmamigMedian:0} ms"), Text($"{m.Ratio:0.00}"), Text($"{m.RdmamigRate:0}"),
            }));
        Report.Say(Text($"ib_write_bw, 1 MiB writes, same guest: {before:0} MiB/s before, {after:0} MiB/s after"));
        await Report.WriteJsonAsync(json, new { machineType, mebibytes, pairs, modes, writeBandwidth = new[] { before, after } });
        return 0;
    }

    private static async Task<double> ToQemuAsync(Workbench bench, bool pinAll)
    {
        string uri = RdmaAddress.NextUri();
        await using QemuMachine destination = await bench.StartDestinationAsync(uri);
        await using QemuMachine source = await bench.StartSourceAsync(pinAll);
        MigrationOutcome outcome = await source.MigrateAsync(uri);
        await destination.MigrationEndAsync(0);
        File.Delete(bench.RestoredMemory);
        return Completed(outcome);
    }

    private static async Task<double> ToRdmamigAsync(Workbench bench, bool pinAll)
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), bench.CapturePath, ["--once"]);
        await using QemuMachine source = await bench.StartSourceAsync(pinAll);
        (MigrationOutcome outcome, _) = await receiver.TakeAsync(source);
        File.Delete(bench.CapturePath);
        return Completed(outcome);
    }

    private static double Completed(MigrationOutcome outcome) => outcome.Status == "completed"
        ? outcome.TotalTime.TotalMilliseconds
        : throw new InvalidOperationException($"the source says {outcome}");

    private static async Task<double> WriteBandwidthAsync()
    {
        string program = Executables.OnPath("ib_write_bw", "perftest");
        string[] arguments =
        [
            program, "-F", "-s", "1048576", "-n", Writes.ToString(CultureInfo.InvariantCulture),
            "-p", RdmaAddress.NextPort().ToString(CultureInfo.InvariantCulture),
        ];
        var lines = new EventLog<string>();
        await using ChildProcess server =
            ChildProcess.Start("ib_write_bw", Executables.OnPath("stdbuf", "coreutils"), ["-oL", .. arguments], lines.Add);
        await lines.FirstAsync(l => l.Contains("Waiting for client", StringComparison.Ordinal), 0, Deadlines.Start, "a waiting ib_write_bw");
        (int exitCode, string output) = await ChildProcess.RunAsync(arguments[0], [.. arguments[1..], RdmaAddress.Host.ToString()]);
        Match figures = BandwidthLine().Match(output);
        return exitCode == 0 && figures.Success
            ? double.Parse(figures.Groups["average"].Value, CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"ib_write_bw ended with {exitCode}: {output}");
    }

    private static string Mode(bool pinAll) => pinAll ? "pin-all" : "dynamic";

    private static string Text(FormattableString text) => FormattableString.Invariant(text);

    [GeneratedRegex(@"^\s*1048576\s+\d+\s+[\d.]+\s+(?<average>[\d.]+)\s", RegexOptions.Multiline)]
    private static partial Regex BandwidthLine();

    private sealed record ModeFigures(string Mode, double[] Qemu, double[] Rdmamig, int Mebibytes)
    {
        public double QemuMedian => Median.Of(Qemu);

        public double RdmamigMedian => Median.Of(Rdmamig);

        public double Ratio => RdmamigMedian / QemuMedian;

        public double RdmamigRate => Mebibytes / (RdmamigMedian / 1000);
    }
}
