using System.CommandLine;

namespace RdmaMigration.Bench.Bars;

/// <summary>rdmamig to rdmamig with digests of RAM, beside the same without.</summary>
internal static class VerifyCost
{
    private static readonly Route s_route = new(Peer.Rdmamig, Peer.Rdmamig);

    public static Command Create()
    {
        Option<int> rounds = new("--repeats") { Description = "How often each is measured, interleaved", DefaultValueFactory = _ => 5 };
        Option<int> ram = new("--ram") { Description = "The machine's RAM in MiB, all of it random", DefaultValueFactory = _ => 512 };
        Option<FileInfo?> json = new("--json") { Description = "Also write the figures to this file" };
        Command command = new("verify", "rdmamig → rdmamig with --verify beside without: total time and user CPU time. No bound.") { rounds, ram, json };
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(rounds), parsed.GetValue(ram), parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(int rounds, int mebibytes, FileInfo? json)
    {
        Workload workload = new(mebibytes, ZeroPercent: 0);
        using Workbench bench = new("pc", workload);
        await bench.SaveAloneAsync();
        (Mode Mode, bool Verify)[] kinds = [.. new[] { Mode.Tcp, Mode.Dynamic, Mode.PinAll }.SelectMany(mode => new[] { (mode, false), (mode, true) })];
        Progress progress = new(rounds * kinds.Length);
        List<(Mode Mode, bool Verify, Passage Passage)> all = [];
        for (int round = 0; round < rounds; round++)
        {
            foreach ((Mode mode, bool verify) in Interleaving.Turn(kinds, round))
            {
                Passage passage = await progress.StepAsync(
                    $"{Words.Of(mode)}{(verify ? " --verify" : "")}",
                    () => Crossing.RunAsync(bench, workload, s_route, mode, compare: false, verify ? ["--verify"] : []),
                    Report.Short);
                all.Add((mode, verify, passage));
            }
        }

        Report.Table(
            Report.Text($"--verify, {workload}, medians of {rounds}"),
            ["", "total, ms", "with --verify", "ratio", "sender's user CPU, s per GiB", "with --verify", "receiver's", "with --verify"],
            kinds.Where(kind => kind.Verify).Select(kind => new[]
            {
                Words.Of(kind.Mode),
                Of(kind.Mode, false, p => p.TotalMilliseconds).ToText("0"),
                Of(kind.Mode, true, p => p.TotalMilliseconds).ToText("0"),
                Report.Text($"{Of(kind.Mode, true, p => p.TotalMilliseconds).Median / Of(kind.Mode, false, p => p.TotalMilliseconds).Median:0.00}"),
                Of(kind.Mode, false, p => p.Sender.User / p.Gibibytes).ToText("0.000"),
                Of(kind.Mode, true, p => p.Sender.User / p.Gibibytes).ToText("0.000"),
                Of(kind.Mode, false, p => p.Receiver.User / p.Gibibytes).ToText("0.000"),
                Of(kind.Mode, true, p => p.Receiver.User / p.Gibibytes).ToText("0.000"),
            }));
        await Report.WriteJsonAsync(json, all.Select(one => new { one.Verify, one.Passage }));
        return 0;

        Statistic Of(Mode mode, bool verify, Func<Passage, double> figure) =>
            Statistic.Of(all.Where(one => one.Mode == mode && one.Verify == verify).Select(one => figure(one.Passage)));
    }
}
