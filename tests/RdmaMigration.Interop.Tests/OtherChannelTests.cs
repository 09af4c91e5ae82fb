using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>QEMU → rdmamig → file → QEMU over the channels that need no RDMA: the same proof, RAM in the stream.</summary>
[Trait("needs", "qemu")]
public sealed class OtherChannelTests : ReceiverTests
{
    [Theory]
    [InlineData("tcp:127.0.0.1:0", "pc", false)]
    [InlineData("tcp:127.0.0.1:0", "q35", true)]
    [InlineData("tcp:[::1]:0", "pc", true)]
    [InlineData("unix:", "pc", false)]
    [InlineData("unix:", "q35", true)]
    public async Task A_paused_machine_arrives_identical_over_a_socket_and_runs(string uri, string machineType, bool returnPath)
    {
        await using QemuMachine source = await StartSourceAsync(machineType, 128);
        await source.SetCapabilitiesAsync(("return-path", returnPath));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(uri == "unix:" ? uri + Work.File("socket") : uri, file, ["--once"]);

        (_, ReceiveResult result) = await receiver.TakeAsync(source);

        Assert.Equal(returnPath, result.ReturnPath);
        await IsTheMachineAsync(source, receiver, result, file);
        Assert.False(File.Exists(Work.File("socket")), "the socket's path is left behind");
    }

    // QEMU 7.2 does not know the message. So a machine type that 7.2 has is not acknowledged unless the source waits, which 7.2 never does: see above.
    [Fact]
    public async Task An_acknowledged_switchover_fails_a_source_that_does_not_know_switchover_ack()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await source.SetCapabilitiesAsync(("return-path", true));
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(
            "tcp:127.0.0.1:0", Work.File("captured"), ["--once", "--switchover-ack", "always"]);

        MigrationOutcome outcome = await source.MigrateAsync(receiver.Uri);

        Assert.Equal("failed", outcome.Status);
    }

    [Fact]
    public async Task A_machine_arrives_identical_through_two_commands()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        string fifo = await NewFifoAsync();
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync($"exec:gzip -dc < '{fifo}'", file);

        (_, ReceiveResult result) = await receiver.TakeAsync(source, $"exec:gzip -1c > '{fifo}'");

        await IsTheMachineAsync(source, receiver, result, file);
    }

    [Fact]
    public async Task A_machine_arrives_identical_on_a_descriptor_that_the_shell_opened()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        string fifo = await NewFifoAsync();
        string file = Work.File("captured");

        // The shell waits in its open until QEMU's command opens the other end.
        await using RdmamigProcess receiver = RdmamigProcess.Start("fd:0", file, wrapper: ["/bin/sh", "-c", $"exec \"$@\" < '{fifo}'", "sh"]);

        (_, ReceiveResult result) = await receiver.TakeAsync(source, $"exec:cat > '{fifo}'");

        await IsTheMachineAsync(source, receiver, result, file);
    }

    [Fact]
    public async Task What_QEMU_wrote_to_a_file_is_received_from_the_file()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        string written = Work.File("written");
        Assert.Equal("completed", (await source.MigrateAsync($"exec:{{ printf '%4096s'; cat; }} > '{written}'")).Status);
        string file = Work.File("captured");
        await using RdmamigProcess receiver = RdmamigProcess.Start($"file:{written},offset=4K", file);

        await IsTheMachineAsync(source, receiver, await receiver.ResultAsync(), file);
    }

    [Fact]
    public async Task A_running_guest_arrives_identical_over_tcp_and_progress_never_goes_back()
    {
        await using QemuMachine source = await StartDirtyingSourceAsync("pc", 64);
        await source.SetLimitsAsync(64 << 20, downtimeMilliseconds: 1000);
        await source.SetCapabilitiesAsync(("return-path", true));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", file, ["--once", "--interval", "0.02"]);

        (MigrationOutcome outcome, ReceiveResult result) = await receiver.TakeAsync(source);

        Assert.True(outcome.DirtySyncs > 2, $"the guest's memory was sent in one pass: {outcome}");
        await IsTheMachineAsync(source, receiver, result, file);
        JsonElement[] ram = [.. receiver.Events.Snapshot().Where(e => e.Name == "PROGRESS").Select(e => e.Values.GetProperty("ram"))];
        long[] transferred = [.. ram.Select(r => r.GetProperty("transferred").GetInt64())];
        Assert.Equal(transferred.Order(), transferred);
        Assert.Contains(ram, r => r.GetProperty("remaining").GetInt64() > 0 && r.GetProperty("transferred").GetInt64() > 0);
        Assert.InRange(result.Values.GetProperty("ram").GetProperty("zero").GetInt64(), 1, result.RamTransferred);
    }

    [Fact]
    public async Task A_refused_return_path_source_keeps_its_machine_and_the_next_is_served()
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", NewFolder("captures"), ["--max-ram", "32M"]);
        await using (QemuMachine large = await StartSourceAsync("pc", 64))
        {
            await large.SetCapabilitiesAsync(("return-path", true));
            Assert.Equal("failed", (await large.MigrateAsync(receiver.Uri)).Status);
            ReceiveResult refused = await receiver.ResultAsync();
            Assert.Contains("max-ram", refused.Error, StringComparison.Ordinal);
            await large.ContinueAsync();
            Assert.Equal("running", await large.RunStateAsync());
        }

        await NextMigrationWorksAsync(receiver);
    }

    [Fact]
    public async Task A_source_that_is_killed_is_a_disconnect_and_the_next_one_is_served()
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", NewFolder("captures"), ["--interval", "0.02"]);
        await using (QemuMachine source = await StartSourceAsync("pc", 64, halfZero: false))
        {
            await source.SetLimitsAsync(4 << 20);
            await source.StartMigrationAsync(receiver.Uri);
            await receiver.Events.FirstAsync(
                e => e.Name == "PROGRESS" && e.Values.GetProperty("ram").GetProperty("transferred").GetInt64() > 0, 0, Deadlines.Migration, "PROGRESS");
            source.Process.KillNow();
            ReceiveResult lost = await receiver.ResultAsync();
            Assert.Equal("Disconnected", lost.ErrorClass);
            Assert.Contains("disconnected before the machine was complete", lost.Error, StringComparison.Ordinal);
        }

        await NextMigrationWorksAsync(receiver);
    }

    [Fact]
    public async Task A_command_that_ends_with_an_error_fails_and_says_its_exit_code()
    {
        await using RdmamigProcess receiver = RdmamigProcess.Start("exec:cat /nonexistent/vm.gz", Work.File("captured"));

        ReceiveResult failed = await receiver.ResultAsync();

        Assert.Contains("exit code 1", failed.Error, StringComparison.Ordinal);
        Assert.Equal(1, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.False(File.Exists(Work.File("captured")));
    }

    private static async Task IsTheMachineAsync(QemuMachine source, RdmamigProcess receiver, ReceiveResult result, string file)
    {
        Assert.True(result.Completed, result.ToString());
        Assert.Equal(0, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Equal(("stream", file), (result.Mode, result.File));
        using WorkDirectory work = new();
        await Restoration.IsIdenticalAsync(source, file, work);
    }
}
