namespace RdmaMigration.Bench.Bars;

/// <summary>rdmamig sends to QEMU with dynamic registration, beside QEMU with pin-all.</summary>
internal static class SendTime
{
    private const double Bound = 1.15;

    public static async Task<int> RunAsync(int rounds, int mebibytes, string machineType, FileInfo? json)
    {
        Workload workload = new(mebibytes, ZeroPercent: 0);
        using Workbench bench = new(machineType, workload);
        Contestant ours = new(bench, workload, new Route(Peer.Rdmamig, Peer.Qemu), Mode.Dynamic);
        Contestant qemu = Rounds.ByQemu(ours) with { Mode = Mode.PinAll };
        RoundFigures figures = await Rounds.RunAsync([ours, qemu], rounds);
        Rounds.Show(Report.Text($"sending to a stock QEMU, {machineType}, {workload}, medians of {rounds}"), [ours, qemu], figures);
        double ratio = figures.Of(ours, p => p.TotalMilliseconds).Median / figures.Of(qemu, p => p.TotalMilliseconds).Median;
        return await Bar.ReportAsync("", [new Bar("total time: rdmamig → QEMU dynamic / QEMU → QEMU pin-all", ratio, Bound)], figures, json);
    }
}
