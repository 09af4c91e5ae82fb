namespace RdmaMigration.Bench.Bars;

/// <summary>User CPU time per GiB of either side, beside QEMU's on the same side. The other side is a QEMU both times.</summary>
internal static class ProcessorUse
{
    private const double Bound = 1;

    public static async Task<int> RunAsync(int rounds, int mebibytes, string machineType, FileInfo? json)
    {
        Workload workload = new(mebibytes, ZeroPercent: 0);
        using Workbench bench = new(machineType, workload);
        List<Contestant> contestants = [];
        foreach (Mode mode in (Mode[])[Mode.Dynamic, Mode.PinAll])
        {
            contestants.AddRange(new[] { new Route(Peer.Qemu, Peer.Qemu), new Route(Peer.Rdmamig, Peer.Qemu), new Route(Peer.Qemu, Peer.Rdmamig) }
                .Select(route => new Contestant(bench, workload, route, mode)));
        }

        RoundFigures figures = await Rounds.RunAsync(contestants, rounds);
        Rounds.Show(Report.Text($"CPU time, {machineType}, {workload}, medians of {rounds}"), contestants, figures);
        List<Bar> bars = [];
        foreach (Contestant ours in contestants)
        {
            Contestant qemu = Rounds.ByQemu(ours);
            string mode = Words.Of(ours.Mode);
            if (ours.Route.From == Peer.Rdmamig)
            {
                bars.Add(new Bar($"user CPU, sending, {mode}: rdmamig / QEMU", Ratio(p => p.Sender.User), Bound));
            }
            else if (ours.Route.To == Peer.Rdmamig)
            {
                bars.Add(new Bar($"user CPU, receiving, {mode}: rdmamig / QEMU", Ratio(p => p.Receiver.User), Bound));
            }

            double Ratio(Func<Passage, double> user) => figures.Of(ours, user).Median / figures.Of(qemu, user).Median;
        }

        return await Bar.ReportAsync("", bars, figures, json);
    }
}
