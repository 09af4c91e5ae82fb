using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>QEMU → rdmamig relay → QEMU over the channels that need no RDMA.</summary>
[Trait("needs", "qemu")]
public sealed class OtherChannelRelayTests : ReceiverTests
{
    [Theory]
    [InlineData("tcp:127.0.0.1:0", false)]
    [InlineData("unix:", true)]
    public async Task From_one_socket_to_another_QEMU_has_the_machine_and_says_so(string from, bool returnPath)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await source.SetCapabilitiesAsync(("return-path", returnPath));
        await PassesAsync(
            source, from == "unix:" ? from + Work.File("from.sock") : from, $"unix:{Work.File("to.sock")}", ("stream", "stream"), confirmed: true);
    }

    [Fact]
    public async Task Out_through_a_command_that_compresses_QEMU_has_the_machine()
    {
        await using QemuMachine source = await StartSourceAsync("q35", 64);
        string fifo = await NewFifoAsync();
        string file = Work.File("captured");
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync("tcp:127.0.0.1:0", $"exec:gzip -1c > '{fifo}'");
        await using RdmamigProcess receiver = RdmamigProcess.Start($"exec:gzip -dc < '{fifo}'", file);

        (_, ReceiveResult result) = await relay.TakeAsync(source);

        Assert.True(result.Confirmed && (await receiver.ResultAsync()).Completed, $"{result}");
        await Restoration.IsIdenticalAsync(source, file, Work);
    }

    [Fact]
    public async Task QEMU_with_another_machine_type_refuses_and_the_source_keeps_its_machine()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await source.SetCapabilitiesAsync(("return-path", true));
        await using QemuMachine other = await QemuMachine.StartAsync(source.Options with
        {
            Name = "other",
            MachineType = "q35",
            MemoryFile = Work.File("other.ram"),
            Incoming = "defer",
        });
        await using RdmamigProcess relay = await RdmamigProcess.RelayAsync("tcp:127.0.0.1:0", await other.ListenAsync("tcp:127.0.0.1:0"), "--once");

        MigrationOutcome outcome = await source.MigrateAsync(relay.Uri);

        ReceiveResult result = await relay.ResultAsync();
        Assert.Equal(("failed", "failed"), (outcome.Status, result.Status));
        Assert.Contains("machine type", result.Error, StringComparison.Ordinal);
        await source.ContinueAsync();
        Assert.Equal("running", await source.RunStateAsync());
    }
}
