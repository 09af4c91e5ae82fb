namespace RdmaMigration.Bench.Bars;

/// <summary>One thing that a bar compares.</summary>
/// <param name="Bench">The machine.</param>
/// <param name="Workload">What its RAM is.</param>
/// <param name="Route">Who sends to whom.</param>
/// <param name="Mode">How.</param>
internal sealed record Contestant(Workbench Bench, Workload Workload, Route Route, Mode Mode)
{
    public override string ToString() => $"{Route}, {Words.Of(Mode)}, {Workload}";
}

/// <summary>What came of the rounds.</summary>
/// <param name="Passages">Every migration, in the order of measuring.</param>
/// <param name="WriteBandwidth">ib_write_bw before the first round and after each, MiB/s.</param>
internal sealed record RoundFigures(IReadOnlyList<Passage> Passages, IReadOnlyList<double> WriteBandwidth)
{
    public Statistic Bandwidth => Statistic.Of(WriteBandwidth);

    /// <summary>MiB/s of RAM as a share of ib_write_bw just before and after the same round: the device drifts from one to the next.</summary>
    public double ShareOfBandwidth(Contestant contestant)
    {
        int inRound = Passages.Count / (WriteBandwidth.Count - 1);
        return Statistic.Of(Passages
            .Index()
            .Where(p => IsOf(p.Item, contestant))
            .Select(p => p.Item.RamRate / ((WriteBandwidth[p.Index / inRound] + WriteBandwidth[(p.Index / inRound) + 1]) / 2))).Median;
    }

    /// <summary>A statistic of the repeats of one contestant.</summary>
    public Statistic Of(Contestant contestant, Func<Passage, double> figure) => Statistic.Of(Passages.Where(p => IsOf(p, contestant)).Select(figure));

    private static bool IsOf(Passage passage, Contestant contestant) =>
        passage.Route == contestant.Route && passage.Mode == contestant.Mode && passage.Workload == contestant.Workload;
}

/// <summary>Measures contestants in turn, with ib_write_bw before, between and after the rounds.</summary>
internal static class Rounds
{
    private static readonly Route s_qemuToQemu = new(Peer.Qemu, Peer.Qemu);

    public static async Task<RoundFigures> RunAsync(IReadOnlyList<Contestant> contestants, int rounds)
    {
        foreach (Workbench bench in contestants.Where(c => c.Route.From == Peer.Rdmamig).Select(c => c.Bench).Distinct())
        {
            await bench.SaveAsync();
        }

        // The quickest machine of each route, not counted: what runs for the first time, here and in the programs measured, is compiled, linked or
        // read from a disk.
        List<Contestant> first = [.. contestants.OrderBy(c => c.Workload.DataMebibytes).DistinctBy(c => c.Route)];
        Progress progress = new(first.Count + (rounds * (contestants.Count + 1)) + 1);
        foreach (Contestant c in first)
        {
            await progress.StepAsync($"once before, {c}", () => Crossing.RunAsync(c.Bench, c.Workload, c.Route, c.Mode, compare: true), Report.Short);
        }

        List<double> bandwidth = [await BandwidthAsync(progress)];
        List<Passage> passages = [];
        for (int round = 0; round < rounds; round++)
        {
            foreach (Contestant c in Interleaving.Turn(contestants, round))
            {
                passages.Add(await progress.StepAsync($"{c}", () => CrossAsync(c), Report.Short));
            }

            bandwidth.Add(await BandwidthAsync(progress));
        }

        return new RoundFigures(passages, bandwidth);
    }

    /// <summary>QEMU's own way to do what <paramref name="of"/> does.</summary>
    public static Contestant ByQemu(Contestant of) => of with { Route = s_qemuToQemu };

    /// <summary>A table of the contestants' times and rates.</summary>
    public static void Show(string title, IReadOnlyList<Contestant> contestants, RoundFigures figures)
    {
        Report.Table(
            title,
            ["", "total, ms", "RAM, MiB/s", "sender CPU", "before", "receiver CPU", "after"],
            contestants.Select(c => new[]
            {
                c.ToString(),
                figures.Of(c, p => p.TotalMilliseconds).ToText("0"),
                figures.Of(c, p => p.RamRate).ToText("0.0"),
                Cpu(c, p => p.Sender),
                Cpu(c, p => p.SenderBefore),
                Cpu(c, p => p.Receiver),
                Cpu(c, p => p.ReceiverAfter),
            }));
        Report.Say($"ib_write_bw, 1 MiB writes: {figures.Bandwidth.ToText("0")} MiB/s");
        Report.Say($"CPU: user + system seconds per GiB of RAM, {(ExactProcessors.AreThere ? "counted exactly" : "sampled at the kernel's clock ticks")}");
        Report.Say("before: start, load the file, connect; after: write the file");

        string Cpu(Contestant c, Func<Passage, ProcessorTime> side) => Report.Text(
            $"{figures.Of(c, p => side(p).User / p.Gibibytes).Median:0.000} + {figures.Of(c, p => side(p).System / p.Gibibytes).Median:0.00}");
    }

    private static Task<Passage> CrossAsync(Contestant c) => Crossing.RunAsync(c.Bench, c.Workload, c.Route, c.Mode);

    private static Task<double> BandwidthAsync(Progress progress) =>
        progress.StepAsync("ib_write_bw", Perftest.WriteBandwidthAsync, rate => Report.Text($"{rate:0} MiB/s"));
}
