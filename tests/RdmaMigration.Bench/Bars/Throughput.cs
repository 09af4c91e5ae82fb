namespace RdmaMigration.Bench.Bars;

/// <summary>rdmamig to rdmamig, beside what the device can.</summary>
internal static class Throughput
{
    private const double Bound = 0.95;

    public static async Task<int> RunAsync(int rounds, int mebibytes, string machineType, FileInfo? json)
    {
        Workload workload = new(mebibytes, ZeroPercent: 0);
        using Workbench bench = new(machineType, workload);
        Contestant[] ours =
            [.. new[] { Mode.Dynamic, Mode.PinAll }.Select(mode => new Contestant(bench, workload, new Route(Peer.Rdmamig, Peer.Rdmamig), mode))];
        RoundFigures figures = await Rounds.RunAsync(ours, rounds);
        Rounds.Show(Report.Text($"payload throughput, {machineType}, {workload}, medians of {rounds}"), ours, figures);
        return await Bar.ReportAsync(
            "",
            [.. ours.Select(c => new Bar(
                $"RAM: {c.Route} {Words.Of(c.Mode)} / ib_write_bw, by round", figures.ShareOfBandwidth(c), Bound, IsMost: false))],
            figures,
            json);
    }
}
