using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>The reference: the same harness and rig with QEMU at both ends. When these fail, the rig is at fault.</summary>
[Trait("needs", "rdma")]
public sealed class QemuToQemuTests : IDisposable
{
    private readonly WorkDirectory _work = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task QEMU_takes_a_machine_from_QEMU_over_RDMA(bool pinAll)
    {
        QemuOptions options = new("source", "pc", 64) { MemoryFile = _work.File("source.ram") };
        GuestMemory.Fill(options.MemoryFile, 64, seed: 11, halfZero: true);
        string uri = RdmaAddress.NextUri();
        await using QemuMachine destination =
            await QemuMachine.StartAsync(options with { Name = "destination", MemoryFile = _work.File("destination.ram"), Incoming = uri });
        await using QemuMachine source = await QemuMachine.StartAsync(options);
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAll));
        await source.SetLimitsAsync(RdmaAddress.Unlimited);

        MigrationOutcome outcome = await source.MigrateAsync(uri);

        Assert.Equal("completed", outcome.Status);
        Assert.Equal("completed", (await destination.MigrationEndAsync(0)).Status);
        Assert.Equal(-1, GuestMemory.FirstDifference(options.MemoryFile, destination.Options.MemoryFile));
        TestContext.Current.TestOutputHelper?.WriteLine($"{outcome}");
    }

    public void Dispose() => _work.Dispose();
}
