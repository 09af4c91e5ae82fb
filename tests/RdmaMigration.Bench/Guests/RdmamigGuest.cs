using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Guests;

/// <summary>A migration of <c>rdmamig guest</c> to <c>rdmamig guest --incoming</c>.</summary>
internal static class RdmamigGuest
{
    private const double SampleSeconds = 0.2;

    /// <summary>A source that reached its time limit may have reported its first status a little after the limit began.</summary>
    private const double NearlyAll = 0.95;

    /// <summary>Migrates a guest once.</summary>
    /// <param name="plan">The guest.</param>
    /// <param name="mode">How RAM travels.</param>
    /// <param name="pace">The guest's rate.</param>
    /// <exception cref="InvalidOperationException">The migration failed.</exception>
    public static async Task<GuestPassage> MigrateAsync(GuestPlan plan, Mode mode, GuestPace pace)
    {
        string ram = Report.Text($"{plan.Mebibytes}M");
        string uri = RdmaAddress.NextUri();
        TimeSpan after = GuestPlan.Settling + TimeSpan.FromSeconds(plan.BeforeSeconds);
        await using RdmamigProcess destination = await RdmamigProcess.IncomingGuestAsync(uri, "--ram", ram, "--writers", "1", "--for", "0.5");
        await using RdmamigProcess source = RdmamigProcess.Guest(
            uri,
            [
                "--ram", ram,
                "--dirty-rate", Report.Text($"{pace.BytesPerSecond}"),
                "--working-set", Report.Text($"{plan.WorkingSetPercent}%"),
                "--pattern", "sequential",
                "--writers", "1",
                "--after", Report.Text($"{after.TotalSeconds}"),
                "--downtime-limit", Report.Text($"{plan.DowntimeLimitMilliseconds}"),
                "--timeout", Report.Text($"{plan.TimeoutSeconds}"),
                "--interval", Report.Text($"{SampleSeconds}"),
                .. mode == Mode.PinAll ? (string[])["--pin-all"] : [],
            ]);
        TimeSpan deadline = after + TimeSpan.FromSeconds(plan.TimeoutSeconds) + Deadlines.Migration;
        QmpEvent result = await source.Events.FirstAsync(e => e.Name == "RESULT", 0, deadline, "RESULT");
        bool completed = result.Status == "completed";
        RdmamigProcess there = completed ? destination : source;
        int exitCode = await there.Process.WaitForExitAsync(Deadlines.Migration);
        GuestPassage passage = GuestEvents.Read(new GuestContestant(Peer.Rdmamig, mode), pace.Rate, source.Events.Snapshot(), there.Events.Snapshot());

        // A guest that lost a write ends with 1, and is a result all the same.
        bool isResult = completed ? exitCode == 0 || passage.WritesLost > 0 : passage.TotalMilliseconds >= plan.TimeoutSeconds * 1000 * NearlyAll;
        return isResult
            ? passage with { GivenRate = pace.Reached }
            : throw new InvalidOperationException(
                $"rdmamig guest ended with {exitCode} after {result}\n{source.Process.Errors}\n{destination.Process.Errors}");
    }
}
