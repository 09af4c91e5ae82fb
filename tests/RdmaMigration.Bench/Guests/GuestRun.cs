using RdmaMigration.Bench.Matrix;

namespace RdmaMigration.Bench.Guests;

/// <summary>Measures what each rate comes to, then the repeats in turn over all rates and contestants.</summary>
internal static class GuestRun
{
    public static async Task<GuestFigures> RunAsync(GuestPlan plan)
    {
        DateTimeOffset started = DateTimeOffset.UtcNow;
        if (!MeasuredHost.HasDevice)
        {
            throw new InvalidOperationException("no RDMA device here: docker/softroce/softroce run gives a host with one");
        }

        MeasuredHost host = await MeasuredHost.OfThisAsync();
        using QemuGuest qemu = new(plan);
        (int Rate, GuestContestant Contestant)[] cells = [.. plan.Rates.SelectMany(rate => plan.Contestants.Select(contestant => (rate, contestant)))];

        // Each program once, not counted: what runs for the first time is linked and read from a disk.
        (int Rate, GuestContestant Contestant)[] first = [.. cells.DistinctBy(cell => cell.Contestant.Peer)];
        Progress progress = new(plan.Rates.Count + first.Length + (plan.Repeats * cells.Length));
        Dictionary<int, GuestPace> paces = [];
        foreach (int rate in plan.Rates)
        {
            paces[rate] = await progress.StepAsync(
                Report.Text($"{rate} MiB/s, QEMU's guest alone"), () => qemu.MeasureAsync(rate), pace => Report.Text($"{pace.Reached:0.00} MiB/s"));
        }

        foreach ((int rate, GuestContestant contestant) in first)
        {
            await MeasureAsync(rate, contestant, "once before, ");
        }

        List<GuestPassage> passages = [];
        for (int repeat = 0; repeat < plan.Repeats; repeat++)
        {
            foreach ((int rate, GuestContestant contestant) in Interleaving.Turn(cells, repeat))
            {
                passages.Add(await MeasureAsync(rate, contestant, ""));
            }
        }

        return new GuestFigures(started, host, plan, passages);

        async Task<GuestPassage> MeasureAsync(int rate, GuestContestant contestant, string when)
        {
            GuestPassage measured = await progress.StepAsync(
                Report.Text($"{when}{rate} MiB/s, {contestant}"),
                () => contestant.Peer == Peer.Qemu ? qemu.MigrateAsync(rate) : RdmamigGuest.MigrateAsync(plan, contestant.Mode, paces[rate]),
                passage => passage.Short());
            if (contestant.Peer == Peer.Qemu)
            {
                paces[rate] = new GuestPace(rate, measured.RateBefore);
            }

            return measured;
        }
    }
}
