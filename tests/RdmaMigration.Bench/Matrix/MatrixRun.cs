namespace RdmaMigration.Bench.Matrix;

/// <summary>What to measure.</summary>
internal sealed record MatrixPlan(
    string MachineType,
    IReadOnlyList<Workload> Workloads,
    IReadOnlyList<Route> Routes,
    IReadOnlyList<Mode> Modes,
    int Repeats)
{
    /// <summary>Routes and modes of one workload.</summary>
    public IReadOnlyList<(Route Route, Mode Mode)> Cells => [.. Modes.SelectMany(mode => Routes.Select(route => (route, mode)))];
}

/// <summary>Measures the matrix: workload after workload, in each the repeats in turn over all cells, with perftest before, between and after.</summary>
internal static class MatrixRun
{
    private const int ControlMessageBytes = 16;

    public static async Task<MatrixFigures> RunAsync(MatrixPlan plan)
    {
        DateTimeOffset started = DateTimeOffset.UtcNow;
        bool device = MeasuredHost.HasDevice;
        if (!device && plan.Modes.Any(mode => mode != Mode.Tcp))
        {
            throw new InvalidOperationException("no RDMA device here: docker/softroce/softroce run gives a host with one; --modes tcp needs none");
        }

        MeasuredHost host = await MeasuredHost.OfThisAsync();
        int references = device ? plan.Workloads.Count + 1 : 0;
        Progress progress = new((plan.Workloads.Count * plan.Cells.Count * plan.Repeats) + references + (device ? 1 : 0));
        List<Reference> perftest = [];
        List<Passage> passages = [];
        IReadOnlyList<RegistrationCost> registrations = device
            ? await progress.StepAsync(
                "registration",
                () => Task.FromResult(RegistrationCosts.Measure()),
                costs => Report.Text($"{costs[^1].RegisterMilliseconds:0} ms/GiB at the largest"))
            : [];
        foreach (Workload workload in plan.Workloads)
        {
            if (device)
            {
                perftest.Add(await ReferenceAsync(progress));
            }

            await MeasureAsync(plan, workload, passages, progress);
        }

        if (device)
        {
            perftest.Add(await ReferenceAsync(progress));
        }

        return new MatrixFigures(started, host, plan.MachineType, plan.Repeats, perftest, registrations, passages);
    }

    private static async Task MeasureAsync(MatrixPlan plan, Workload workload, List<Passage> passages, Progress progress)
    {
        using Workbench bench = new(plan.MachineType, workload);
        if (plan.Routes.Any(route => route.From == Peer.Rdmamig))
        {
            await bench.SaveAsync();
        }

        for (int repeat = 0; repeat < plan.Repeats; repeat++)
        {
            foreach ((Route route, Mode mode) in Interleaving.Turn(plan.Cells, repeat))
            {
                bool compare = repeat == 0;
                passages.Add(await progress.StepAsync(
                    $"{route}, {Words.Of(mode)}, {workload}", () => Crossing.RunAsync(bench, workload, route, mode, compare), Report.Short));
            }
        }
    }

    private static Task<Reference> ReferenceAsync(Progress progress) => progress.StepAsync(
        "ib_write_bw and ib_send_lat",
        async () => new Reference(
            await Perftest.WriteBandwidthAsync(),
            await Perftest.SendLatencyAsync(ControlMessageBytes, events: false),
            await Perftest.SendLatencyAsync(ControlMessageBytes, events: true)),
        r => Report.Text($"{r.WriteBandwidth:0} MiB/s, {r.SendLatency:0} µs, {r.SendLatencyEvents:0} µs with events"));
}
