using System.CommandLine;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Bars;

/// <summary>A synthetic guest that dirties memory at half the link's rate moves between two processes, many times in a row.</summary>
internal static class Moves
{
    private const int DowntimeLimitMilliseconds = 300;
    private const double Tolerance = 1.2;
    private const double ShareWithin = 0.95;
    private const int TimeoutSeconds = 100;

    /// <summary>A guest at half the link's rate is slowed only if the link is much slower than when it was measured.</summary>
    private const int ThrottleTriggerThreshold = 80;

    private const double BytesPerMebibyte = 1 << 20;

    public static Command Create()
    {
        Option<int> moves = new("--repeats") { Description = "How often it moves, dynamic and pin-all in turn", DefaultValueFactory = _ => 50 };
        Option<int> ram = new("--ram") { Description = "The guest's RAM in MiB", DefaultValueFactory = _ => 512 };
        Option<FileInfo?> json = new("--json") { Description = "Also write the figures to this file" };
        Command command = new(
            "moves",
            "rdmamig guest → rdmamig guest at half the rate of ib_write_bw just before: no write is lost or torn, and in 95 % of the moves the downtime is "
            + "at most 1.2 times downtime-limit. auto-converge slows a guest that writes more than 80 % of what is sent. Exit code 3 if not.")
        {
            moves, ram, json,
        };
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(moves), parsed.GetValue(ram), parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(int count, int mebibytes, FileInfo? json)
    {
        Progress progress = new(count + ((count + 1) / 2));
        List<Passed> moves = [];
        double link = 0;
        for (int i = 0; i < count; i++)
        {
            if (i % 2 == 0)
            {
                // The device drifts, so the rate follows it. Where it is emulated it can lose a third of its rate within a minute, and a move may not converge.
                link = await progress.StepAsync("ib_write_bw", Perftest.WriteBandwidthAsync, found => Report.Text($"{found:0} MiB/s"));
            }

            Mode mode = i % 2 == 0 ? Mode.Dynamic : Mode.PinAll;
            moves.Add(await progress.StepAsync(Words.Of(mode), () => MoveAsync(mebibytes, link, mode), passed => passed.Short()));
        }

        Report.Table(
            Report.Text($"rdmamig guest, {mebibytes} MiB, downtime-limit {DowntimeLimitMilliseconds} ms"),
            ["", "ib_write_bw, MiB/s", "dirtied, MiB/s", "sent, MiB/s", "total, ms", "downtime, ms", "passes", "slowed", "completed", "not intact"],
            moves.GroupBy(passed => passed.Mode).Select(of => new[]
            {
                Words.Of(of.Key),
                Statistic.Of(of.Select(passed => passed.Link)).ToText("0"),
                Statistic.Of(of.Select(passed => passed.Link / 2)).ToText("0"),
                Of(of, move => move.Bandwidth / BytesPerMebibyte),
                Of(of, move => move.Result.TotalMilliseconds),
                Of(of, move => move.Downtime.TotalMilliseconds),
                Of(of, move => move.Passes),
                Report.Text($"{of.Count(passed => passed.Move is { Throttle: > 0 })}"),
                Report.Text($"{of.Count(passed => passed.Move is not null)} of {of.Count()}"),
                Report.Text($"{of.Count(passed => passed.Move is { IsIntact: false })}"),
            }));
        return await Bar.ReportAsync(
            "",
            [
                new Bar("moves that completed with memory intact / moves", Share(move => move.IsIntact), 1, IsMost: false),
                new Bar(
                    Report.Text($"moves with a downtime of at most {DowntimeLimitMilliseconds * Tolerance:0} ms / moves"),
                    Share(move => move.Downtime.TotalMilliseconds <= DowntimeLimitMilliseconds * Tolerance),
                    ShareWithin,
                    IsMost: false),
            ],
            moves.Select(passed => passed.ToFigures()),
            json);

        double Share(Func<GuestMove, bool> holds) => (double)moves.Count(passed => passed.Move is { } move && holds(move)) / count;
    }

    private static string Of(IEnumerable<Passed> moves, Func<GuestMove, double> figure)
    {
        double[] figures = [.. moves.Select(passed => passed.Move).OfType<GuestMove>().Select(figure)];
        return figures.Length == 0 ? "" : Statistic.Of(figures).ToText("0");
    }

    private static async Task<Passed> MoveAsync(int mebibytes, double link, Mode mode)
    {
        try
        {
            GuestMove move = await GuestMove.RunAsync(
                RdmaAddress.NextUri(),
                mebibytes,
                (long)(link * BytesPerMebibyte / 2),
                [
                    "--downtime-limit", Report.Text($"{DowntimeLimitMilliseconds}"),
                    "--auto-converge", "--throttle-trigger-threshold", Report.Text($"{ThrottleTriggerThreshold}"),
                    "--timeout", Report.Text($"{TimeoutSeconds}"),
                    .. mode == Mode.PinAll ? (string[])["--pin-all"] : [],
                ]);
            return new Passed(mode, link, move, "");
        }
        catch (InvalidOperationException e)
        {
            return new Passed(mode, link, null, e.Message);
        }
    }

    /// <summary>One move, or why it did not end.</summary>
    private sealed record Passed(Mode Mode, double Link, GuestMove? Move, string Reason)
    {
        public string Short() => Move is { } move
            ? Report.Text($"{move.Result.TotalMilliseconds} ms, {move.Passes} passes, {move.Bandwidth / BytesPerMebibyte:0} MiB/s, ")
                + Report.Text($"downtime {move.Downtime.TotalMilliseconds:0} ms")
                + (move.Throttle > 0 ? Report.Text($", slowed by {move.Throttle} %") : "")
                + (move.IsIntact ? "" : ", NOT INTACT")
            : $"NOT COMPLETED: {Reason}";

        public object ToFigures() => new
        {
            Mode,
            LinkMebibytesPerSecond = Link,
            Move?.Result.TotalMilliseconds,
            DowntimeMilliseconds = Move?.Downtime.TotalMilliseconds,
            Move?.Passes,
            Move?.Bandwidth,
            ThrottlePercentage = Move?.Throttle,
            Move?.IsIntact,
            Reason,
        };
    }
}
