using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>What rdmamig costs besides the guest's RAM.</summary>
public sealed class FootprintTests : ReceiverTests
{
    [Theory]
    [Trait("needs", "rdma")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Resident_memory_beyond_the_guests_RAM_stays_below_64_MiB(bool pinAll)
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"));
        await using QemuMachine source = await StartSourceAsync("pc", 256, halfZero: false);
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAll));

        await receiver.TakeAsync(source);

        long peak = ProcessFootprint.Bytes(receiver.Process.Id, "VmHWM");
        long beyond = peak - (256L << 20);
        Measured($"peak {peak >> 20} MiB, beyond the guest's RAM {beyond / 1048576.0:0.0} MiB, native {Executables.RdmamigIsNative}");
        Assert.InRange(beyond, 0, 64L << 20);
    }

    [Fact]
    public void The_published_program_is_one_file_of_at_most_20_MB()
    {
        string published = Path.Combine(Executables.RepositoryRoot, ".artifacts", "publish", "rdmamig");
        Assert.True(File.Exists(published), $"{published} is not there: ./build.sh build publishes it");
        Assert.InRange(new FileInfo(published).Length, 1, 20_000_000);
    }
}
