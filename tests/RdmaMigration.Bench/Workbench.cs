using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>A folder with the RAM of one machine, and that machine started as often as a measurement needs it.</summary>
internal sealed class Workbench : IDisposable
{
    private const ulong Seed = 20261122;
    private readonly WorkDirectory _work = new();
    private readonly QemuOptions _source;

    public Workbench(string machineType, Workload workload)
        : this(machineType, workload.Mebibytes) => GuestMemory.Fill(SourceMemory, workload.Mebibytes, Seed, workload.IsData);

    private Workbench(string machineType, int mebibytes) =>
        _source = new QemuOptions("source", machineType, mebibytes) { MemoryFile = _work.File("source.ram") };

    public int Mebibytes => _source.RamMebibytes;

    public string SourceMemory => _source.MemoryFile;

    /// <summary>Where a receiver puts its one capture.</summary>
    public string CapturePath => _work.File("captured");

    /// <summary>The machine as a file to send; made by <see cref="SaveAsync"/>.</summary>
    public string SavedMachine => _work.File("saved");

    public string RestoredMemory => _work.File("restored.ram");

    /// <summary>The paused machine, ready to migrate as fast as the device can.</summary>
    public async Task<QemuMachine> StartSourceAsync(bool pinAll)
    {
        QemuMachine machine = await QemuMachine.StartAsync(_source with { Wrapper = ExactProcessors.ForSender });
        await machine.SetCapabilitiesAsync(("rdma-pin-all", pinAll));
        await machine.SetLimitsAsync(RdmaAddress.Unlimited);
        return machine;
    }

    /// <summary>A QEMU that waits for the machine at <paramref name="uri"/>.</summary>
    public Task<QemuMachine> StartDestinationAsync(string uri) =>
        QemuMachine.StartAsync(_source with { Name = "destination", MemoryFile = RestoredMemory, Incoming = uri, Wrapper = ExactProcessors.ForReceiver });

    /// <summary>A machine that exists as a file alone, which <paramref name="write"/> writes.</summary>
    public static Workbench OfSaved(string machineType, int mebibytes, Action<string> write)
    {
        Workbench bench = new(machineType, mebibytes);
        write(bench.SavedMachine);
        return bench;
    }

    /// <summary>QEMU saves the machine to <see cref="SavedMachine"/>, unless it is there already.</summary>
    public async Task SaveAsync()
    {
        if (File.Exists(SavedMachine))
        {
            return;
        }

        await using QemuMachine source = await StartSourceAsync(pinAll: false);
        MigrationOutcome outcome = await source.MigrateAsync($"exec:cat > '{SavedMachine}'");
        if (outcome.Status != "completed")
        {
            throw new InvalidOperationException($"QEMU could not save the machine: {outcome}");
        }
    }

    /// <summary>As <see cref="SaveAsync"/>, and then keeps the file alone: for a machine that no QEMU sends.</summary>
    public async Task SaveAloneAsync()
    {
        await SaveAsync();
        File.Delete(SourceMemory);
    }

    public void Dispose() => _work.Dispose();
}
