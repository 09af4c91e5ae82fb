using System.Text.Json;
using RdmaMigration.Bench.Bars;
using RdmaMigration.Bench.Guests;
using RdmaMigration.Bench.Plots;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Tests;

public sealed class GuestFiguresTests : IDisposable
{
    private static readonly GuestContestant s_dynamic = new(Peer.Rdmamig, Mode.Dynamic);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("guest-");

    [Fact]
    public void A_cell_is_the_median_of_its_repeats()
    {
        GuestCell cell = Figures(Ours(900, 90), Ours(800, 200), Ours(1000, 80)).Find(s_dynamic, 2)!;

        Assert.Equal(new Statistic(900, 800, 1000), cell.TotalMilliseconds);
        Assert.Equal(new Statistic(90, 80, 200), cell.DowntimeMilliseconds);
        Assert.Equal(75, cell.SpeedPercent!.Value.Median, tolerance: 1e-9);
        Assert.Equal(0, cell.WritesLost);
        Assert.Equal(["2.00", "900 (800–1000)", "90 (80–200)", "", "3", "25", "0", "3 of 3"], cell.ToColumns());
        Assert.Null(Figures(Ours(1, 1)).Find(s_dynamic, 4));
    }

    [Fact]
    public void One_migration_that_does_not_converge_counts_as_the_longest()
    {
        GuestCell cell = new([Ours(900, 90), NotConverged(s_dynamic), Ours(1000, 80)]);

        Assert.True(cell.Converges);
        Assert.Equal((1000, 90), (cell.TotalMilliseconds.Median, cell.DowntimeMilliseconds.Median));
        Assert.Equal("2 of 3", cell.ToColumns().Last());
    }

    [Fact]
    public void The_verdict_holds_up_to_QEMU_s_times_and_no_lost_write()
    {
        Bar[] bars = [.. Figures(Qemu(1000, 100), Ours(1000, 100)).Bars()];
        Assert.Equal([1, 1, 0], bars.Select(bar => bar.Ratio));
        Assert.All(bars, bar => Assert.True(bar.Holds));

        Assert.Equal([false, true, true], Figures(Qemu(1000, 100), Ours(1100, 90)).Bars().Select(bar => bar.Holds));
        Assert.Equal([true, false, true], Figures(Qemu(1000, 100), Ours(900, 110)).Bars().Select(bar => bar.Holds));
        Assert.Equal([true, true, false], Figures(Qemu(1000, 100), Ours(900, 90) with { WritesLost = 1 }).Bars().Select(bar => bar.Holds));
    }

    [Fact]
    public void A_rate_at_which_only_one_converges_has_a_verdict()
    {
        Assert.Equal([0, 0, 0], Figures(NotConverged(GuestContestant.Qemu), Ours(900, 90)).Bars().Select(bar => bar.Ratio));
        Assert.Equal(
            [double.PositiveInfinity, double.PositiveInfinity, 0], Figures(Qemu(900, 90), NotConverged(s_dynamic)).Bars().Select(bar => bar.Ratio));
        Assert.Single(Figures(NotConverged(GuestContestant.Qemu), NotConverged(s_dynamic)).Bars());
        Assert.Contains("not converged", new GuestCell([NotConverged(s_dynamic)]).ToColumns());
    }

    [Fact]
    public async Task A_missed_verdict_is_exit_code_3_and_the_file_has_every_figure()
    {
        FileInfo file = new(Path.Combine(_folder.FullName, "guest.json"));
        GuestFigures figures = Figures(Qemu(1000, 100), NotConverged(s_dynamic));

        Assert.Equal(3, await Bar.ReportAsync("", figures.Bars(), figures, file));

        using JsonDocument json = JsonDocument.Parse(await File.ReadAllTextAsync(file.FullName, TestContext.Current.CancellationToken));
        JsonElement passages = json.RootElement.GetProperty("figures").GetProperty("passages");
        Assert.Equal([1000, 60000], passages.EnumerateArray().Select(p => p.GetProperty("total-milliseconds").GetInt32()));
        Assert.Equal([true, false], passages.EnumerateArray().Select(p => p.GetProperty("converged").GetBoolean()));
        Assert.Equal("Infinity", json.RootElement.GetProperty("bars")[0].GetProperty("ratio").GetString());
    }

    [Fact]
    public void The_plot_is_drawn_as_PNG_and_SVG_also_where_a_contestant_never_converges()
    {
        GuestPlot.Draw(Figures(Qemu(1000, 100), NotConverged(s_dynamic))).Save(_folder.FullName);

        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(Path.Combine(_folder.FullName, "guest.png"))[..4]);
        string svg = File.ReadAllText(Path.Combine(_folder.FullName, "guest.svg"));
        Assert.Contains("rdmamig, dynamic", svg, StringComparison.Ordinal);
        Assert.Contains("Downtime", svg, StringComparison.Ordinal);
    }

    [Fact]
    public void The_figures_of_rdmamig_come_from_the_events_of_both_processes()
    {
        QmpEvent[] source =
        [
            Guest(0, 0), Guest(1, 2), Guest(2, 4), Guest(3, 6), Event(3, "MIGRATION", """{"status":"setup"}"""), Guest(4, 7), Guest(5, 8),
            Event(5.1, "MIGRATION", """{"status":"device"}"""), Guest(6, 8, isRunning: false),
            Event(6, "RESULT", """{"status":"completed","total-time":2900,"dirty-sync-count":4}"""),
        ];
        GuestPassage passage = GuestEvents.Read(s_dynamic, 2, source, [Verified(0, 41.5), Verified(2, null)]);

        Assert.Equal((true, 2900, 41.5, 4, 2), (
            passage.Converged, passage.TotalMilliseconds, passage.DowntimeMilliseconds, passage.Iterations, passage.WritesLost));
        Assert.Equal(2, passage.RateBefore, tolerance: 1e-6);
        Assert.Equal(0.5, passage.Speed!.Value, tolerance: 1e-6);
    }

    [Fact]
    public void A_guest_that_stays_is_not_converged_and_was_tried_until_the_result()
    {
        QmpEvent[] source =
        [
            Guest(0, 0), Guest(2, 4), Event(3, "MIGRATION", """{"status":"setup"}"""), Guest(5, 10), Event(23, "MIGRATION", """{"status":"failed"}"""),
            Event(23, "RESULT", """{"status":"failed","total-time":19100,"dirty-sync-count":9}"""), Verified(0, null),
        ];
        GuestPassage passage = GuestEvents.Read(s_dynamic, 2, source, source);

        Assert.Equal((false, 20000, (double?)null, 9, 0), (
            passage.Converged, passage.TotalMilliseconds, passage.DowntimeMilliseconds, passage.Iterations, passage.WritesLost));
    }

    [Fact]
    public void A_rate_is_that_between_two_moments_and_unknown_outside_the_log()
    {
        DateTimeOffset begin = DateTimeOffset.UnixEpoch;
        WriteLog log = new();
        Assert.Null(log.RateBetween(begin, begin.AddSeconds(1)));
        log.Add(begin, 0);
        log.Add(begin.AddSeconds(2), 4 << 20);
        log.Add(begin.AddSeconds(4), 4 << 20);

        Assert.Equal(2, log.RateBetween(begin.AddSeconds(-5), begin.AddSeconds(1))!.Value, tolerance: 1e-9);
        Assert.Equal(1, log.RateBetween(begin.AddSeconds(1), begin.AddSeconds(3))!.Value, tolerance: 1e-9);
        Assert.Null(log.RateBetween(begin.AddSeconds(4), begin.AddSeconds(5)));
        Assert.Equal(begin.AddSeconds(2), log.LastAt(begin.AddSeconds(3)));
        Assert.Equal(begin.AddSeconds(4), log.FirstAt(begin.AddSeconds(3)));
        Assert.Null(log.FirstAt(begin.AddSeconds(5)));
    }

    [Fact]
    public void The_working_set_has_the_same_pages_in_both_programs_and_must_fit()
    {
        GuestPlan plan = new() { Mebibytes = 64, WorkingSetPercent = 25, Rates = [], Modes = [] };
        Assert.Equal(4096U, plan.WorkingSetPages);
        Assert.True((plan with { WorkingSetPercent = 75 }).Fits);
        Assert.False((plan with { WorkingSetPercent = 76 }).Fits);
        Assert.Equal(8U, GuestPace.PagesPerTick(2));
        Assert.Equal(1_572_864, new GuestPace(2, 1.5).BytesPerSecond);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static GuestFigures Figures(params GuestPassage[] passages) => new(
        Samples.Matrix.Started,
        Samples.Matrix.Host,
        new GuestPlan { Mebibytes = 64, WorkingSetPercent = 25, Rates = [2, 4], Modes = [Mode.Dynamic], Repeats = 1 },
        passages);

    private static GuestPassage Qemu(double total, double downtime) =>
        Ours(total, downtime) with { Contestant = GuestContestant.Qemu, WritesLost = null, SerialGapMilliseconds = downtime + 10 };

    private static GuestPassage Ours(double total, double downtime) => new()
    {
        Contestant = s_dynamic,
        Rate = 2,
        Converged = true,
        RateBefore = 2,
        RateDuring = 1.5,
        TotalMilliseconds = total,
        DowntimeMilliseconds = downtime,
        Iterations = 3,
        WritesLost = 0,
    };

    private static GuestPassage NotConverged(GuestContestant contestant) =>
        Ours(60000, 0) with { Contestant = contestant, Converged = false, DowntimeMilliseconds = null };

    private static QmpEvent Guest(double at, int mebibytes, bool isRunning = true) =>
        Event(at, "GUEST", $$"""{"running":{{(isRunning ? "true" : "false")}},"written":{{mebibytes << 20}}}""");

    private static QmpEvent Verified(int lost, double? downtime) => Event(7, "VERIFIED", JsonSerializer.Serialize(new Dictionary<string, double?>
    {
        ["lost-writes"] = lost,
        ["late-writes"] = 0,
        ["torn-pages"] = 0,
        ["foreign-pages"] = 0,
        ["downtime"] = downtime,
    }));

    private static QmpEvent Event(double at, string name, string values)
    {
        using JsonDocument document = JsonDocument.Parse(values);
        return new QmpEvent(name, DateTimeOffset.UnixEpoch.AddSeconds(at), document.RootElement.Clone());
    }
}
