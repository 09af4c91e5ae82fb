using System.CommandLine;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Bars;

/// <summary>A synthetic guest that dirties memory at half the link's rate moves between two processes, many times in a row.</summary>
internal static class Moves
{
    private const int DowntimeLimitMilliseconds = 300;
    private const double Tolerance = 1.2;
    private const double ShareWithin = 0.95;
    private const int BandwidthSamples = 3;
    private const double BytesPerMebibyte = 1 << 20;

    public static Command Create()
    {
        Option<int> moves = new("--repeats") { Description = "How often it moves, with dynamic registration and pin-all in turn", DefaultValueFactory = _ => 50 };
        Option<int> ram = new("--ram") { Description = "The guest's RAM in MiB", DefaultValueFactory = _ => 512 };
        Option<FileInfo?> json = new("--json") { Description = "Also write the figures to this file" };
        Command command = new(
            "moves",
            "rdmamig guest → rdmamig guest at half the rate of ib_write_bw: no write is lost or torn, and in 95 % of the moves the downtime is at most "
            + "1.2 times downtime-limit. Exit code 3 if not.")
        {
            moves, ram, json,
        };
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(moves), parsed.GetValue(ram), parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(int count, int mebibytes, FileInfo? json)
    {
        Progress progress = new(BandwidthSamples + count + 1);
        List<double> bandwidth = [];
        for (int i = 0; i < BandwidthSamples; i++)
        {
            bandwidth.Add(await BandwidthAsync());
        }

        long rate = (long)(Statistic.Of(bandwidth).Median * BytesPerMebibyte / 2);
        List<(Mode Mode, GuestMove Move)> moves = [];
        for (int i = 0; i < count; i++)
        {
            Mode mode = i % 2 == 0 ? Mode.Dynamic : Mode.PinAll;
            moves.Add((mode, await progress.StepAsync(Words.Of(mode), () => MoveAsync(mebibytes, rate, mode), Short)));
        }

        bandwidth.Add(await BandwidthAsync());
        Report.Table(
            Report.Text($"rdmamig guest, {mebibytes} MiB, {rate / BytesPerMebibyte:0.0} MiB/s dirtied, downtime-limit {DowntimeLimitMilliseconds} ms"),
            ["", "moves", "total, ms", "downtime, ms", "passes", "not intact"],
            moves.GroupBy(one => one.Mode, one => one.Move).Select(of => new[]
            {
                Words.Of(of.Key),
                Report.Text($"{of.Count()}"),
                Statistic.Of(of.Select(move => (double)move.Result.TotalMilliseconds)).ToText("0"),
                Statistic.Of(of.Select(move => move.Downtime.TotalMilliseconds)).ToText("0"),
                Statistic.Of(of.Select(move => (double)move.Passes)).ToText("0"),
                Report.Text($"{of.Count(move => !move.IsIntact)}"),
            }));
        Report.Say($"ib_write_bw, 1 MiB writes: {Statistic.Of(bandwidth).ToText("0")} MiB/s");
        int within = moves.Count(one => one.Move.Downtime.TotalMilliseconds <= Tolerance * DowntimeLimitMilliseconds);
        return await Bar.ReportAsync(
            "",
            [
                new Bar("moves whose memory was not intact / moves", (double)moves.Count(one => !one.Move.IsIntact) / count, Bound: 0),
                new Bar(
                    Report.Text($"moves with a downtime of {Tolerance * DowntimeLimitMilliseconds:0} ms at most / moves"),
                    (double)within / count,
                    ShareWithin,
                    IsMost: false),
            ],
            new
            {
                bandwidth,
                rate,
                moves = moves.Select(one => new
                {
                    one.Mode,
                    one.Move.Result.TotalMilliseconds,
                    DowntimeMilliseconds = one.Move.Downtime.TotalMilliseconds,
                    one.Move.Passes,
                    one.Move.IsIntact,
                }),
            },
            json);

        Task<double> BandwidthAsync() => progress.StepAsync("ib_write_bw", Perftest.WriteBandwidthAsync, found => Report.Text($"{found:0} MiB/s"));
    }

    private static Task<GuestMove> MoveAsync(int mebibytes, long rate, Mode mode) => GuestMove.RunAsync(
        RdmaAddress.NextUri(),
        mebibytes,
        rate,
        ["--downtime-limit", Report.Text($"{DowntimeLimitMilliseconds}"), .. mode == Mode.PinAll ? (string[])["--pin-all"] : []]);

    private static string Short(GuestMove move) => Report.Text(
        $"{move.Result.TotalMilliseconds} ms, {move.Passes} passes, downtime {move.Downtime.TotalMilliseconds:0} ms{(move.IsIntact ? "" : ", NOT INTACT")}");
}
