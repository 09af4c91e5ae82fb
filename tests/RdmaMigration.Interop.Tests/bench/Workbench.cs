using RdmaMigration.Interop.Harness;

namespace RdmaMigration.Interop.Bench;

/// <summary>A folder with the RAM of one machine, and that machine started as often as a measurement needs it.</summary>
internal sealed class Workbench : IDisposable
{
    private readonly WorkDirectory _work = new();
    private readonly QemuOptions _source;

    public Workbench(string machineType, int mebibytes, bool halfZero)
    {
        _source = new QemuOptions("source", machineType, mebibytes) { MemoryFile = _work.File("source.ram") };
        GuestMemory.Fill(_source.MemoryFile, mebibytes, seed: 20261122, halfZero);
    }

    public string SourceMemory => _source.MemoryFile;

    public string CapturePath => _work.File("captured");

    public string RestoredMemory => _work.File("restored.ram");

    /// <summary>The paused machine, ready to migrate as fast as the device can.</summary>
    public async Task<QemuMachine> StartSourceAsync(bool pinAll)
    {
        QemuMachine machine = await QemuMachine.StartAsync(_source);
        await machine.SetCapabilitiesAsync(("rdma-pin-all", pinAll));
        await machine.SetLimitsAsync(RdmaAddress.Unlimited);
        return machine;
    }

    /// <summary>A QEMU that waits for the machine at <paramref name="uri"/>.</summary>
    public Task<QemuMachine> StartDestinationAsync(string uri) =>
        QemuMachine.StartAsync(_source with { Name = "destination", MemoryFile = RestoredMemory, Incoming = uri });

    /// <summary>A QEMU that started from the capture.</summary>
    public Task<QemuMachine> RestoreAsync() =>
        QemuMachine.RestoreAsync(_source with { Name = "restored", MemoryFile = RestoredMemory }, CapturePath);

    public void Dispose() => _work.Dispose();
}
