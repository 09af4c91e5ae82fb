using System.Diagnostics;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>What rdmamig costs: bytes on disk, time to say --help, memory beyond the guest's.</summary>
internal static class Footprint
{
    private const int Starts = 7;

    public static async Task<int> RunAsync(int mebibytes, FileInfo? json)
    {
        string program = Executables.Rdmamig;
        double size = new FileInfo(program).Length / 1e6;
        List<double> starts = [];
        for (int i = 0; i < Starts; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            (int exitCode, string output) = await ChildProcess.RunAsync(program, "--help");
            starts.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
            if (exitCode != 0)
            {
                throw new InvalidOperationException($"rdmamig --help ended with {exitCode}: {output}");
            }
        }

        List<string[]> rows =
        [
            ["program", FormattableString.Invariant($"{size:0.0} MB, {(Executables.RdmamigIsNative ? "native" : "managed")}")],
            ["--help", FormattableString.Invariant($"{Median.Of(starts):0} ms (median of {Starts})")],
        ];
        Dictionary<string, double> beyond = [];
        if (Directory.Exists("/sys/class/infiniband") && Directory.EnumerateFileSystemEntries("/sys/class/infiniband").Any())
        {
            using Workbench bench = new("pc", new Workload(mebibytes, ZeroPercent: 0));
            foreach (bool pinAll in (bool[])[false, true])
            {
                string mode = pinAll ? "pin-all" : "dynamic";
                beyond[mode] = await PeakBeyondRamAsync(bench, pinAll, mebibytes);
                rows.Add([$"memory beyond the RAM, {mode}", FormattableString.Invariant($"{beyond[mode]:0.0} MiB")]);
            }
        }
        else
        {
            rows.Add(["memory beyond the RAM", "not measured: no RDMA device here"]);
        }

        Report.Table("footprint of rdmamig", ["what", "measured"], rows);
        await Report.WriteJsonAsync(json, new { program, megabytes = size, native = Executables.RdmamigIsNative, helpMilliseconds = starts, beyond });
        return 0;
    }

    private static async Task<double> PeakBeyondRamAsync(Workbench bench, bool pinAll, int mebibytes)
    {
        using WorkDirectory captures = new();
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), captures.FullName + "/");
        await using QemuMachine source = await bench.StartSourceAsync(pinAll);
        await receiver.TakeAsync(source);
        return (ProcessFootprint.Bytes(receiver.Process.Id, "VmHWM") / 1048576.0) - mebibytes;
    }
}
