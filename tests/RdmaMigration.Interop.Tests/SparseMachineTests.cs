using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A machine that has far more RAM than it uses, and than this host has: what was never touched costs nothing on the way.</summary>
[Trait("needs", "rdma")]
public sealed class SparseMachineTests : ReceiverTests
{
    private const int Used = 64;
    private const int Size = 5 << 10;
    private const int ZeroPageEntry = 9;

    [Fact]
    public async Task Five_GiB_with_64_MiB_in_use_arrive_identical_and_the_holes_stay_holes()
    {
        (QemuMachine source, string dense) = await CaptureAsync(RdmaAddress.NextUri(), "pc", Used, halfZero: false);
        await source.DisposeAsync();
        string sparse = Work.File("sparse");
        EnlargedMachine.Write(dense, sparse, Used, Size);
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"), ["--max-ram", "16G"]);

        await SendAsync(sparse, receiver.Uri, "dynamic", confirmed: true, returnPath: true, ["--return-path"]);

        ReceiveResult result = await receiver.ResultAsync();
        long resident = ProcessFootprint.Bytes(receiver.Process.Id, "VmHWM");
        Measured($"{result.TotalMilliseconds} ms; {resident >> 20} MiB resident at most; {new FileInfo(result.File).Length >> 20} MiB of file");
        Assert.InRange(resident, 0, (Used + 48L) << 20);
        Assert.InRange(new FileInfo(result.File).Length, Used << 20, ((Used + 2L) << 20) + (ZeroPageEntry * (Size << 8)));
        string memory = source.Options.MemoryFile;
        using (FileStream grown = File.OpenWrite(memory))
        {
            grown.SetLength((long)Size << 20);
        }

        using MigrationFile arrived = MigrationFile.Open(result.File);
        Assert.Equal(-1, arrived.FirstDifference(QemuOptions.RamBlockName, memory));
        using MigrationFile sent = MigrationFile.Open(dense);
        Assert.Equal(sent.DeviceState, arrived.DeviceState);
    }
}
