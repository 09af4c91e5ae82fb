using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>The source's total-time towards a destination QEMU and towards rdmamig, and the bandwidth that perftest finds.</summary>
internal static class TotalTime
{
    private static readonly Route s_toQemu = new(Peer.Qemu, Peer.Qemu);
    private static readonly Route s_toRdmamig = new(Peer.Qemu, Peer.Rdmamig);

    public static async Task<int> RunAsync(int pairs, int mebibytes, string machineType, FileInfo? json)
    {
        Workload workload = new(mebibytes, ZeroPercent: 0);
        using Workbench bench = new(machineType, workload);
        double before = await Perftest.WriteBandwidthAsync();
        Progress progress = new(4 * pairs);
        List<ModeFigures> modes = [];
        foreach (Mode mode in (Mode[])[Mode.Dynamic, Mode.PinAll])
        {
            List<double> qemu = [];
            List<double> rdmamig = [];
            for (int i = 0; i < pairs; i++)
            {
                foreach (Route route in Interleaving.Turn([s_toQemu, s_toRdmamig], i))
                {
                    Passage passage = await progress.StepAsync(
                        $"{route}, {Words.Of(mode)}", () => Crossing.RunAsync(bench, workload, route, mode), Report.Short);
                    (route == s_toQemu ? qemu : rdmamig).Add(passage.TotalMilliseconds);
                }
            }

            modes.Add(new ModeFigures(Words.Of(mode), [.. qemu], [.. rdmamig], mebibytes));
        }

        double after = await Perftest.WriteBandwidthAsync();
        Report.Table(
            $"total-time, {machineType}, {workload}, medians of {pairs} pairs",
            ["mode", "QEMU → QEMU", "QEMU → rdmamig", "ratio", "rdmamig MiB/s"],
            modes.Select(m => new[]
            {
                m.Mode, Report.Text($"{m.QemuMedian:0} ms"), Report.Text($"{m.RdmamigMedian:0} ms"), Report.Text($"{m.Ratio:0.00}"),
                Report.Text($"{m.RdmamigRate:0}"),
            }));
        Report.Say(Report.Text($"ib_write_bw, 1 MiB writes, same guest: {before:0} MiB/s before, {after:0} MiB/s after"));
        await Report.WriteJsonAsync(json, new { machineType, mebibytes, pairs, modes, writeBandwidth = new[] { before, after } });
        return 0;
    }

    private sealed record ModeFigures(string Mode, double[] Qemu, double[] Rdmamig, int Mebibytes)
    {
        public double QemuMedian => Median.Of(Qemu);

        public double RdmamigMedian => Median.Of(Rdmamig);

        public double Ratio => RdmamigMedian / QemuMedian;

        public double RdmamigRate => Mebibytes / (RdmamigMedian / 1000);
    }
}
