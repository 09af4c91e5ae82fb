using System.Diagnostics;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>QEMU → rdmamig relay → QEMU, from RDMA to a socket, the other way, and on by RDMA; and no machine is lost where one of the three fails.</summary>
[Trait("needs", "rdma")]
public sealed class RelayTests : ReceiverTests
{
    private const string Tcp = "tcp:127.0.0.1:0";

    [Theory]
    [InlineData("pc", false, true)]
    [InlineData("q35", true, false)]
    public async Task What_comes_by_RDMA_goes_out_by_TCP_and_QEMU_says_that_it_has_it(string machineType, bool pinAll, bool returnPath)
    {
        await using QemuMachine source = await StartSourceAsync(machineType, 64);
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAll), ("postcopy-ram", returnPath));
        await PassesAsync(source, RdmaAddress.NextUri(), Tcp, (Mode(pinAll), "stream"), confirmed: true);
    }

    [Theory]
    [InlineData("q35", false, true)]
    [InlineData("pc", true, false)]
    public async Task What_comes_by_TCP_goes_out_by_RDMA_and_QEMU_has_it(string machineType, bool pinAll, bool returnPath)
    {
        await using QemuMachine source = await StartSourceAsync(machineType, 64);
        await source.SetCapabilitiesAsync(("return-path", returnPath));
        await PassesAsync(
            source, Tcp, RdmaAddress.NextUri(), ("stream", Mode(pinAll)), confirmed: false,
            [.. Options(pinAll), .. returnPath ? ["--rescue", NewFolder("kept")] : Array.Empty<string>()]);
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task What_comes_by_RDMA_goes_on_by_RDMA(bool pinAllIn, bool pinAllOut)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAllIn));
        await PassesAsync(
            source, RdmaAddress.NextUri(), RdmaAddress.NextUri(), (Mode(pinAllIn), Mode(pinAllOut)), confirmed: false, Options(pinAllOut));
    }

    [Fact]
    public async Task A_running_guest_that_dirties_memory_goes_through_and_goes_on()
    {
        await using QemuMachine source = await StartDirtyingSourceAsync("pc", 64);
        await source.SetLimitsAsync(RdmaAddress.Unlimited, downtimeMilliseconds: 1000);
        await PassesAsync(source, RdmaAddress.NextUri(), Tcp, ("dynamic", "stream"), confirmed: true);
    }

    [Fact]
    public async Task Three_rdmamigs_in_a_row_prove_it_to_the_first()
    {
        (QemuMachine source, string first) = await CaptureAsync(RdmaAddress.NextUri(), "pc", 32);
        await source.DisposeAsync();
        string second = Work.File("second");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), second, ["--once"]);
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync(RdmaAddress.NextUri(), receiver.Uri, "--return-path");

        await SendAsync(first, relay.Uri, "dynamic", confirmed: true, returnPath: true, ["--return-path"]);

        ReceiveResult result = await relay.ResultAsync();
        Assert.True(result.Completed && result.Confirmed, $"{result}");
        Assert.True((await receiver.ResultAsync()).Completed);
        Restoration.AreTheSame(first, second);
    }

    [Fact]
    public async Task A_source_with_a_return_path_keeps_its_machine_when_RAM_sizes_differ()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 32);
        await source.SetCapabilitiesAsync(("postcopy-ram", true));
        await using QemuMachine larger = await StartLargerAsync(source);
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync(RdmaAddress.NextUri(), await larger.ListenAsync(Tcp), "--once");

        MigrationOutcome outcome = await source.MigrateAsync(relay.Uri);

        ReceiveResult result = await relay.ResultAsync();
        Assert.Equal(("failed", "failed"), (outcome.Status, result.Status));
        Assert.Contains("keeps its machine", result.Error, StringComparison.Ordinal);
        Assert.Equal(1, await relay.Process.WaitForExitAsync(Deadlines.Answer));
        await source.ContinueAsync();
        Assert.Equal("running", await source.RunStateAsync());
    }

    [Fact]
    public async Task A_machine_that_its_source_has_let_go_and_the_destination_refuses_is_rescued()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 32);
        await using QemuMachine larger = await StartLargerAsync(source);
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync(
            RdmaAddress.NextUri(), await larger.ListenAsync(RdmaAddress.NextUri()), "--once", "--rescue", NewFolder("rescued"));

        MigrationOutcome outcome = await source.MigrateAsync(relay.Uri);

        ReceiveResult result = await relay.ResultAsync();
        Assert.Equal(("completed", "failed"), (outcome.Status, result.Status));
        Assert.Contains($"saved in {result.File}", result.Error, StringComparison.Ordinal);
        await Restoration.IsIdenticalAsync(source, result.File, Work);
    }

    [Fact]
    public async Task A_destination_that_is_not_there_fails_before_the_source_lets_go()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync(RdmaAddress.NextUri(), RdmaAddress.NextUri(), "--once");

        MigrationOutcome outcome = await source.MigrateAsync(relay.Uri);

        ReceiveResult result = await relay.ResultAsync();
        Assert.Equal(("failed", "failed", "Unreachable"), (outcome.Status, result.Status, result.ErrorClass));
        await source.ContinueAsync();
        Assert.Equal("running", await source.RunStateAsync());
    }

    [Theory]
    [InlineData(Tcp)]
    [InlineData("rdma:")]
    public async Task Source_keeps_its_machine_when_the_destination_is_killed_during_RAM(string to)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64, halfZero: false);
        await source.SetLimitsAsync(4 << 20);
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(
            to == "rdma:" ? RdmaAddress.NextUri() : to, Work.File("killed"), ["--once"]);
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync(RdmaAddress.NextUri(), receiver.Uri, "--once");
        await source.StartMigrationAsync(relay.Uri);
        await relay.Events.FirstAsync(
            e => e.Name == "PROGRESS" && e.Values.GetProperty("ram").GetProperty("transferred").GetInt64() > 1 << 20, 0, Deadlines.Migration, "RAM");

        long killed = Stopwatch.GetTimestamp();
        await receiver.SignalAsync("KILL");

        ReceiveResult result = await relay.ResultAsync();
        Assert.InRange(Stopwatch.GetElapsedTime(killed), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.Equal(("failed", "Disconnected"), (result.Status, result.ErrorClass));
        Assert.Equal("failed", (await source.MigrationOutcomeAsync(0)).Status);
        await source.ContinueAsync();
        Assert.Equal("running", await source.RunStateAsync());
    }

    private Task<QemuMachine> StartLargerAsync(QemuMachine source) => QemuMachine.StartAsync(source.Options with
    {
        Name = "larger",
        RamMebibytes = 2 * source.Options.RamMebibytes,
        MemoryFile = Work.File("larger.ram"),
        Incoming = "defer",
    });

    private static string Mode(bool pinAll) => pinAll ? "pin-all" : "dynamic";

    private static string[] Options(bool pinAll) => pinAll ? ["--pin-all"] : [];
}
