using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>The whole way once for each mode, and a table of what happened.</summary>
internal static class Demo
{
    public static async Task<int> RunAsync(int mebibytes, string machineType)
    {
        Report.Say($"A paused {machineType} machine with {mebibytes} MiB of RAM, half random, half zero:");
        Report.Say("QEMU → RDMA → rdmamig receive → file → rdmamig send → RDMA → QEMU");
        using Workbench bench = new(machineType, mebibytes, halfZero: true);
        List<Passage> passages = [];
        foreach (Mode mode in (Mode[])[Mode.Dynamic, Mode.PinAll])
        {
            passages.Add(await PassAsync(bench, mode));
        }

        Report.Table(
            "",
            ["mode", "received", "file", "sent", "at the end", "identical"],
            passages.Select(p => new[]
            {
                Words.Of(p.Mode),
                $"{p.Received}",
                FormattableString.Invariant($"{p.FileMebibytes:0.0} MiB"),
                $"{p.Sent}",
                p.RunState,
                p.FirstDifference < 0 ? "yes" : FormattableString.Invariant($"NO, at 0x{p.FirstDifference:x}"),
            }));
        return passages.TrueForAll(p => p is { FirstDifference: < 0, RunState: "running" }) ? 0 : 1;
    }

    private static async Task<Passage> PassAsync(Workbench bench, Mode mode)
    {
        Way received = await ReceiveAsync(bench, mode);
        double fileSize = new FileInfo(bench.CapturePath).Length / 1048576.0;
        string uri = RdmaAddress.NextUri();
        await using QemuMachine restored = await bench.StartDestinationAsync(uri);
        Way sent = await SendAsync(bench.CapturePath, uri, mode);
        QmpEvent end = await restored.MigrationEndAsync(0);
        if (end.Status != "completed")
        {
            throw new InvalidOperationException($"the destination QEMU says {end}\n{restored.Process.Errors}");
        }

        long difference = GuestMemory.FirstDifference(bench.SourceMemory, bench.RestoredMemory);
        await restored.ContinueAsync();
        string state = await restored.RunStateAsync();
        File.Delete(bench.CapturePath);
        return new Passage(mode, received, fileSize, sent, difference, state);
    }

    private static async Task<Way> ReceiveAsync(Workbench bench, Mode mode)
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), bench.CapturePath, ["--once"]);
        await using QemuMachine source = await bench.StartSourceAsync(mode is Mode.PinAll);
        (MigrationOutcome outcome, ReceiveResult result) = await receiver.TakeAsync(source);
        Expect(result, mode);
        return new Way(outcome.RamTransferred / 1048576.0, outcome.TotalTime.TotalSeconds);
    }

    private static async Task<Way> SendAsync(string capture, string uri, Mode mode)
    {
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, uri, mode is Mode.PinAll ? ["--pin-all"] : []);
        ReceiveResult result = await sender.ResultAsync();
        Expect(result, mode);
        double moved = (result.RamTransferred - result.Values.GetProperty("ram").GetProperty("zero").GetInt64()) / 1048576.0;
        return new Way(moved, result.TotalMilliseconds / 1000.0);
    }

    private static void Expect(ReceiveResult result, Mode mode)
    {
        if (!result.Completed || result.Mode != Words.Of(mode))
        {
            throw new InvalidOperationException($"asked for {Words.Of(mode)}, got {result}");
        }
    }

    private sealed record Way(double Mebibytes, double Seconds)
    {
        public override string ToString() => FormattableString.Invariant($"{Mebibytes:0.0} MiB in {Seconds:0.00} s");
    }

    private sealed record Passage(Mode Mode, Way Received, double FileMebibytes, Way Sent, long FirstDifference, string RunState);
}
