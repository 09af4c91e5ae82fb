using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>QEMU → rdmamig → file → QEMU: the machine that comes out is the one that went in.</summary>
[Trait("needs", "rdma")]
public sealed class CaptureTests : ReceiverTests
{
    [Theory]
    [InlineData("pc", 128, false)]
    [InlineData("pc", 256, true)]
    [InlineData("q35", 256, false)]
    [InlineData("q35", 512, true)]
    public async Task A_paused_machine_arrives_identical_and_runs(string machineType, int mebibytes, bool pinAll)
    {
        await using QemuMachine source = await StartSourceAsync(machineType, mebibytes);
        await CaptureAsync(source, pinAll);
    }

    [Theory]
    [InlineData("pc", false)]
    [InlineData("q35", true)]
    public async Task A_running_guest_that_dirties_memory_arrives_identical_and_goes_on(string machineType, bool pinAll)
    {
        await using QemuMachine source = await StartDirtyingSourceAsync(machineType, 64);
        await source.SetLimitsAsync(RdmaAddress.Unlimited, downtimeMilliseconds: 1000);

        MigrationOutcome outcome = await CaptureAsync(source, pinAll);

        Assert.True(outcome.DirtySyncs > 2, $"the guest's memory was sent in one pass: {outcome}");
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, true)]
    public async Task A_source_with_a_return_path_is_told_that_the_machine_is_stored(bool pinAll, bool running)
    {
        await using QemuMachine source = running ? await StartDirtyingSourceAsync("pc", 64) : await StartSourceAsync("pc", 64);
        await source.SetLimitsAsync(RdmaAddress.Unlimited, downtimeMilliseconds: 1000);
        await source.SetCapabilitiesAsync(("postcopy-ram", true));

        await CaptureAsync(source, pinAll, returnPath: true);
    }

    [Fact]
    public async Task Inspect_knows_a_captured_machine()
    {
        await using QemuMachine source = await StartSourceAsync("q35", 16);
        string file = Work.File("captured");
        await using (RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), file, ["--once"]))
        {
            await receiver.TakeAsync(source);
            Assert.Equal(0, await receiver.Process.WaitForExitAsync(Deadlines.Migration));
        }

        (int exitCode, string output) = await ChildProcess.RunAsync(Executables.Rdmamig, "inspect", file, "--json");

        Assert.Equal(0, exitCode);
        Assert.Contains("pc-q35-", output, StringComparison.Ordinal);
        Assert.Contains(QemuOptions.RamBlockName, output, StringComparison.Ordinal);
        Assert.Contains("ICH9LPC", output, StringComparison.Ordinal);
    }

    private async Task<MigrationOutcome> CaptureAsync(QemuMachine source, bool pinAll, bool returnPath = false)
    {
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAll));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), file, ["--once"]);

        (MigrationOutcome outcome, ReceiveResult result) = await receiver.TakeAsync(source);

        Assert.Equal(0, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Equal(file, result.File);
        Assert.Equal(pinAll ? "pin-all" : "dynamic", result.Mode);
        Assert.Equal(returnPath, result.ReturnPath);
        Assert.StartsWith(source.Options.MachineType == "q35" ? "pc-q35-" : "pc-i440fx-", result.Machine, StringComparison.Ordinal);
        Measured($"{source.Options.MachineType} {source.Options.RamMebibytes} MiB {result.Mode}: source {outcome.TotalTime.TotalMilliseconds} ms, "
            + $"rdmamig {result.TotalMilliseconds} ms, {result.RamTransferred >> 20} MiB moved, {outcome.DirtySyncs} dirty syncs");
        AssertIsCanonical(file);
        await Restoration.IsIdenticalAsync(source, file, Work);
        return outcome;
    }

    // One RAM section, every page of every block once, zero pages among them.
    private static void AssertIsCanonical(string path)
    {
        using MigrationFile file = MigrationFile.Open(path);
        Assert.Equal(1, file.RamSections);
        Assert.Equal(0, file.RepeatedPages);
        Assert.All(file.Blocks.Values, block => Assert.DoesNotContain(StreamedBlock.Missing, block.Pages));
        Assert.Contains(file.Blocks.Values, block => block.Pages.Contains(StreamedBlock.Zero));
    }
}
