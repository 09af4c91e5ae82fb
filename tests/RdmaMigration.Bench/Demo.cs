using RdmaMigration.Interop.Harness;

namespace RdmaMigration.Bench;

/// <summary>The whole way once for each mode, and a table of what happened.</summary>
internal static class Demo
{
    public static async Task<int> RunAsync(int mebibytes, string machineType)
    {
        Report.Say($"A paused {machineType} machine with {mebibytes} MiB of RAM, half random, half zero:");
        Report.Say("QEMU → RDMA → rdmamig receive → file → QEMU");
        using var bench = new Workbench(machineType, mebibytes, halfZero: true);
        List<Passage> passages = [];
        foreach (bool pinAll in (bool[])[false, true])
        {
            passages.Add(await PassAsync(bench, pinAll));
        }

        Report.Table(
            "",
            ["mode", "moved", "time", "rate", "file", "restored", "identical"],
            passages.Select(p => new[]
            {
                p.Mode,
                FormattableString.Invariant($"{p.MovedMebibytes:0.0} MiB"),
                FormattableString.Invariant($"{p.Seconds:0.00} s"),
                FormattableString.Invariant($"{p.MovedMebibytes / p.Seconds:0.0} MiB/s"),
                FormattableString.Invariant($"{p.FileMebibytes:0.0} MiB"),
                p.RunState,
                p.FirstDifference < 0 ? "yes" : FormattableString.Invariant($"NO, at 0x{p.FirstDifference:x}"),
            }));
        return passages.TrueForAll(p => p is { FirstDifference: < 0, RunState: "running" }) ? 0 : 1;
    }

    private static async Task<Passage> PassAsync(Workbench bench, bool pinAll)
    {
        string mode = pinAll ? "pin-all" : "dynamic";
        MigrationOutcome outcome;
        await using (RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), bench.CapturePath, ["--once"]))
        {
            await using QemuMachine source = await bench.StartSourceAsync(pinAll);
            (outcome, ReceiveResult result) = await receiver.TakeAsync(source);
            if (result.Mode != mode)
            {
                throw new InvalidOperationException($"asked for {mode}, got {result}");
            }
        }

        double fileSize = new FileInfo(bench.CapturePath).Length / 1048576.0;
        await using QemuMachine restored = await bench.RestoreAsync();
        long difference = GuestMemory.FirstDifference(bench.SourceMemory, bench.RestoredMemory);
        await restored.ContinueAsync();
        string state = await restored.RunStateAsync();
        File.Delete(bench.CapturePath);
        return new Passage(mode, outcome.RamTransferred / 1048576.0, outcome.TotalTime.TotalSeconds, fileSize, difference, state);
    }

    private sealed record Passage(
        string Mode, double MovedMebibytes, double Seconds, double FileMebibytes, long FirstDifference, string RunState);
}
