using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>kill -9 of the source, QEMU and rdmamig in turn, at the same random moments.</summary>
internal static class KillTimes
{
    private const int Mebibytes = 64;

    public static async Task<int> RunAsync(int pairs, FileInfo? json)
    {
        using Workbench bench = new("pc", new Workload(Mebibytes, ZeroPercent: 0));
        Random random = new(20261122);
        List<KillLatency> qemu = [];
        List<KillLatency> rdmamig = [];
        using WorkDirectory captures = new();
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), captures.FullName + "/");
        for (int i = 0; i < pairs; i++)
        {
            TimeSpan moment = TimeSpan.FromMilliseconds(50 + random.Next(1500));
            await using (QemuMachine source = await bench.StartSourceAsync(pinAll: i % 2 == 1))
            {
                rdmamig.Add(await KillToError.OfRdmamigAsync(receiver, source, moment));
            }

            await using (QemuMachine source = await bench.StartSourceAsync(pinAll: i % 2 == 1))
            {
                qemu.Add(await KillToError.OfQemuAsync(source, bench.RestoredMemory, moment));
            }

            File.Delete(bench.RestoredMemory);
        }

        Report.Table(
            $"kill -9 of the source to the destination's failure, {pairs} pairs, milliseconds",
            ["destination", "median", "least", "most"],
            [
                Row("QEMU, by its event's time", qemu.Select(q => q.ToError)),
                Row("rdmamig, by its event's time", rdmamig.Select(r => r.ToError)),
                Row("QEMU, event read by its client", qemu.Select(q => q.ToReader)),
                Row("rdmamig, event read by its client", rdmamig.Select(r => r.ToReader)),
                Row("rdmamig, completion waiter to receive thread", rdmamig.Select(r => r.Latency!.Value)),
            ]);
        double ratio = Median.Of(rdmamig.Select(r => r.ToError)) / Median.Of(qemu.Select(q => q.ToError));
        Report.Say(FormattableString.Invariant($"ratio of the first two medians {ratio:0.00}"));
        await Report.WriteJsonAsync(json, new { pairs, qemu, rdmamig, ratio });
        return 0;
    }

    private static string[] Row(string name, IEnumerable<double> values) =>
    [
        name,
        FormattableString.Invariant($"{Median.Of(values):0.000}"),
        FormattableString.Invariant($"{values.Min():0.000}"),
        FormattableString.Invariant($"{values.Max():0.000}"),
    ];
}
