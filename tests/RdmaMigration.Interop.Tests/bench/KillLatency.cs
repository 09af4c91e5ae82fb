using RdmaMigration.Interop.Harness;

namespace RdmaMigration.Interop.Bench;

/// <summary>kill -9 of the source, QEMU and rdmamig in turn, at the same random moments.</summary>
internal static class KillLatency
{
    private const int Mebibytes = 64;

    public static async Task<int> RunAsync(int pairs, FileInfo? json)
    {
        using var bench = new Workbench("pc", Mebibytes, zeroShare: 0);
        var random = new Random(20261122);
        List<double> qemu = [];
        List<double> rdmamig = [];
        List<double> latencies = [];
        using var captures = new WorkDirectory();
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), captures.FullName + "/");
        for (int i = 0; i < pairs; i++)
        {
            TimeSpan moment = TimeSpan.FromMilliseconds(50 + random.Next(1500));
            await using (QemuMachine source = await bench.StartSourceAsync(pinAll: i % 2 == 1))
            {
                (double toError, double latency) = await KillToError.OfRdmamigAsync(receiver, source, moment);
                rdmamig.Add(toError);
                latencies.Add(latency);
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
            [Row("QEMU", qemu), Row("rdmamig", rdmamig), Row("of it: event to receive thread", latencies)]);
        double ratio = Median.Of(rdmamig) / Median.Of(qemu);
        Report.Say(FormattableString.Invariant($"ratio of the medians {ratio:0.00}"));
        await Report.WriteJsonAsync(json, new { pairs, qemu, rdmamig, latencies, ratio });
        return 0;
    }

    private static string[] Row(string name, List<double> values) =>
    [
        name,
        FormattableString.Invariant($"{Median.Of(values):0.000}"),
        FormattableString.Invariant($"{values.Min():0.000}"),
        FormattableString.Invariant($"{values.Max():0.000}"),
    ];
}
