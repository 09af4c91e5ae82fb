using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>What cannot work is refused in clear words, the source keeps its machine, and the next connection is served.</summary>
[Trait("needs", "rdma")]
public sealed class RefusalTests : ReceiverTests
{
    [Fact]
    public async Task A_port_in_use_is_said_and_ends_with_code_3()
    {
        string uri = RdmaAddress.NextUri();
        await using RdmamigProcess first = await RdmamigProcess.ListenAsync(uri, NewFolder("captures"));
        await using RdmamigProcess second = RdmamigProcess.Start(uri, Work.File("other"));

        Assert.Equal(3, await second.Process.WaitForExitAsync(Deadlines.Start));

        Assert.Contains("another program listens on this port", second.Process.Errors, StringComparison.OrdinalIgnoreCase);
        await NextMigrationWorksAsync(first);
    }

    [Fact]
    public async Task A_machine_above_max_ram_is_refused_before_its_memory_comes()
    {
        await using RdmamigProcess receiver =
            await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"), ["--max-ram", "32M"]);

        ReceiveResult result = await FailsAsync(receiver, await StartSourceAsync("pc", 64));

        Assert.Contains("max-ram", result.Error, StringComparison.Ordinal);
        await NextMigrationWorksAsync(receiver);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Too_little_lockable_memory_is_said_with_the_limit_and_the_need(bool pinAll)
    {
        // root may lock anything unless it gives that capability away.
        string[] limited =
        [
            Executables.OnPath("prlimit", "util-linux"), "--memlock=16777216:16777216",
            Executables.OnPath("setpriv", "util-linux"), "--bounding-set", "-ipc_lock", "--",
        ];
        await using RdmamigProcess receiver =
            await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"), wrapper: limited);
        QemuMachine source = await StartSourceAsync("pc", 64, halfZero: false);
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAll));

        ReceiveResult result = await FailsAsync(receiver, source);

        Assert.Contains("memlock", result.Error, StringComparison.OrdinalIgnoreCase);
        Assert.Matches("16384|16 MiB|16\\.0 MiB|16777216", result.Error);
        await NextMigrationWorksAsync(receiver);
    }

    [Fact]
    public async Task A_full_disk_fails_the_migration_and_the_source_keeps_its_machine()
    {
        await using SmallDisk disk = await SmallDisk.MountAsync(NewFolder("small"));
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), disk.Folder);
        await using QemuMachine source = await StartSourceAsync("pc", 64, halfZero: false);
        await source.SetCapabilitiesAsync(("postcopy-ram", true));

        MigrationOutcome outcome = await source.MigrateAsync(receiver.Uri);
        ReceiveResult result = await receiver.ResultAsync();

        Assert.Equal("failed", outcome.Status);
        Assert.Equal("failed", result.Status);
        Assert.Contains("bytes free", result.Error, StringComparison.Ordinal);
        await source.ContinueAsync();
        Assert.Equal("running", await source.RunStateAsync());
        await NextMigrationWorksAsync(receiver);
    }

    /// <summary>All of RAM goes in one phase, so nothing is resident when that begins, and a source without a return path learns nothing at the end.</summary>
    [Fact]
    public async Task A_full_disk_is_found_before_the_last_byte_of_a_machine_that_rdmamig_sends()
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 64, halfZero: false);
        await source.DisposeAsync();
        await using SmallDisk disk = await SmallDisk.MountAsync(NewFolder("small"));
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), disk.Folder);
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, receiver.Uri);

        Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Migration));

        ReceiveResult sent = await sender.ResultAsync();
        Assert.Equal(("failed", "Disconnected"), (sent.Status, sent.ErrorClass));
        Assert.Contains("bytes free", (await receiver.ResultAsync()).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_target_folder_that_is_gone_is_named()
    {
        string folder = NewFolder("captures");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), folder);
        Directory.Delete(folder);

        ReceiveResult result = await FailsAsync(receiver, await StartSourceAsync("pc", 8));

        Assert.Contains("captures", result.Error, StringComparison.Ordinal);
        Directory.CreateDirectory(folder);
        await NextMigrationWorksAsync(receiver);
    }

    [Fact]
    public async Task A_source_outside_the_allowed_networks_is_turned_away_at_once()
    {
        await using RdmamigProcess receiver =
            await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"), ["--allow", "192.0.2.0/24"]);
        await using QemuMachine source = await StartSourceAsync("pc", 8);

        Assert.NotEqual("completed", await MigrationStatusAsync(source, receiver.Uri));

        Assert.Empty(Directory.EnumerateFileSystemEntries(Work.File("captures")));
        Assert.DoesNotContain(receiver.Events.Snapshot(), e => e is { Name: "MIGRATION", Status: "active" });
    }

    [Fact]
    public async Task A_source_port_that_is_not_allowed_is_turned_away_and_one_that_is_gets_in()
    {
        await using (RdmamigProcess closed =
            await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("closed"), ["--allow", $"{RdmaAddress.V4}:1-1023"]))
        {
            await using QemuMachine source = await StartSourceAsync("pc", 8);
            Assert.NotEqual("completed", await MigrationStatusAsync(source, closed.Uri));
            Assert.DoesNotContain(closed.Events.Snapshot(), e => e is { Name: "MIGRATION", Status: "active" });
        }

        await using RdmamigProcess open =
            await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"), ["--allow", $"{RdmaAddress.V4}:1024-65535"]);
        await NextMigrationWorksAsync(open);
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    [InlineData("HUP")]
    public async Task A_signal_cancels_tells_the_source_and_leaves_no_file(string signal)
    {
        string folder = NewFolder("captures");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), folder);
        await using QemuMachine source = await StartSourceAsync("pc", 64, halfZero: false);
        await source.SetLimitsAsync(8 << 20);
        await source.StartMigrationAsync(receiver.Uri);
        await receiver.Events.FirstAsync(e => e is { Name: "MIGRATION", Status: "active" }, 0, Deadlines.Migration, "active");

        await receiver.SignalAsync(signal);

        Assert.Equal(130, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Equal("failed", (await source.MigrationOutcomeAsync(0)).Status);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder));
        await source.ContinueAsync();
        Assert.Equal("running", await source.RunStateAsync());
    }

    [Fact]
    public async Task A_source_that_cancels_is_a_failure_here_and_can_migrate_again()
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"));
        await using QemuMachine source = await StartSourceAsync("pc", 64, halfZero: false);
        await source.SetLimitsAsync(8 << 20);
        await source.StartMigrationAsync(receiver.Uri);
        await receiver.Events.FirstAsync(e => e is { Name: "MIGRATION", Status: "active" }, 0, Deadlines.Migration, "active");

        await source.Monitor.ExecuteAsync("migrate_cancel");

        Assert.NotEqual("completed", (await receiver.ResultAsync()).Status);
        Assert.Equal("cancelled", (await source.MigrationEndAsync(0)).Status);
        await source.SetLimitsAsync(RdmaAddress.Unlimited);
        (_, ReceiveResult second) = await receiver.TakeAsync(source);
        await Restoration.IsIdenticalAsync(source, second.File, Work);
    }

    private static async Task<ReceiveResult> FailsAsync(RdmamigProcess receiver, QemuMachine started)
    {
        await using QemuMachine source = started;
        int from = receiver.Events.Count;
        await MigrationStatusAsync(source, receiver.Uri);
        ReceiveResult result = await receiver.ResultAsync(from);
        Assert.Equal("failed", result.Status);
        Measured($"{result.ErrorClass}: {result.Error}");
        File.Delete(source.Options.MemoryFile);
        return result;
    }

    // A refused connection is an error of the command itself, a later failure is the migration's status.
    private static async Task<string> MigrationStatusAsync(QemuMachine source, string uri)
    {
        try
        {
            return (await source.MigrateAsync(uri)).Status;
        }
        catch (QmpException refused)
        {
            return refused.Reason;
        }
    }
}
