using RdmaMigration.Testing;

namespace RdmaMigration.Demo;

/// <summary>A machine of known memory, and its way from one QEMU through a file into another.</summary>
internal sealed class RoundTrip : IDisposable
{
    private const ulong Seed = 20261122;
    private readonly WorkDirectory _work = new();
    private readonly QemuOptions _machine;

    public RoundTrip(string machineType, int mebibytes)
    {
        _machine = new QemuOptions("source", machineType, mebibytes) { MemoryFile = _work.File("source.ram") };
        GuestMemory.Fill(_machine.MemoryFile, mebibytes, Seed, halfZero: true);
    }

    public async Task<RoundTripResult> RunAsync(bool pinAll)
    {
        string capture = _work.File("captured");
        Transfer received = await ReceiveAsync(capture, pinAll);
        string uri = RdmaAddress.NextUri();
        QemuOptions destination = _machine with { Name = "destination", MemoryFile = _work.File("destination.ram"), Incoming = uri };
        await using QemuMachine arrived = await QemuMachine.StartAsync(destination);
        Transfer sent = await SendAsync(capture, uri, pinAll);
        QmpEvent end = await arrived.MigrationEndAsync(0);
        if (end.Status != "completed")
        {
            throw new InvalidOperationException($"the destination QEMU reports {end}\n{arrived.Process.Errors}");
        }

        // Before it runs: a running machine writes to its memory.
        long difference = GuestMemory.FirstDifference(_machine.MemoryFile, destination.MemoryFile);
        await arrived.ContinueAsync();
        string runState = await arrived.RunStateAsync();
        long fileBytes = new FileInfo(capture).Length;
        File.Delete(capture);
        return new RoundTripResult(ModeOf(pinAll), received, fileBytes, sent, runState, difference < 0 ? null : difference);
    }

    public void Dispose() => _work.Dispose();

    private async Task<Transfer> ReceiveAsync(string capture, bool pinAll)
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), capture, ["--once"]);
        await using QemuMachine source = await QemuMachine.StartAsync(_machine);
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAll));
        await source.SetLimitsAsync(RdmaAddress.Unlimited);
        (MigrationOutcome outcome, ReceiveResult result) = await receiver.TakeAsync(source);
        RequireCompleted(result, pinAll);
        return new Transfer(outcome.RamTransferred, outcome.TotalTime);
    }

    private static async Task<Transfer> SendAsync(string capture, string uri, bool pinAll)
    {
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, uri, pinAll ? ["--pin-all"] : []);
        ReceiveResult result = await sender.ResultAsync();
        RequireCompleted(result, pinAll);
        long zero = result.Values.GetProperty("ram").GetProperty("zero").GetInt64();
        return new Transfer(result.RamTransferred - zero, TimeSpan.FromMilliseconds(result.TotalMilliseconds));
    }

    private static void RequireCompleted(ReceiveResult result, bool pinAll)
    {
        if (!result.Completed || result.Mode != ModeOf(pinAll))
        {
            throw new InvalidOperationException($"expected a completed migration with {ModeOf(pinAll)}, got {result}");
        }
    }

    private static string ModeOf(bool pinAll) => pinAll ? "pin-all" : "dynamic";
}
