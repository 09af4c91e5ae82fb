using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Tests;

public sealed class EnlargedMachineTests
{
    [Fact]
    public async Task A_QEMU_with_the_larger_RAM_starts_from_the_enlarged_file()
    {
        using WorkDirectory work = new();
        using Workbench small = new("pc", new Workload(32, 0));
        await small.SaveAsync();
        string enlarged = work.File("enlarged");

        EnlargedMachine.Write(small.SavedMachine, enlarged, fromMebibytes: 32, toMebibytes: 96);

        QemuOptions larger = new("restored", "pc", 96) { MemoryFile = work.File("ram") };
        await using QemuMachine restored = await QemuMachine.RestoreAsync(larger, enlarged);
        Assert.Equal(32 << 20, GuestMemory.FirstDifference(small.SourceMemory, larger.MemoryFile));
    }
}
