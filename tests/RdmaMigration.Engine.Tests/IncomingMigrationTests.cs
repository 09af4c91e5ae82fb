using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>The incoming side over real verbs, with a source of our own that can do what QEMU never would.</summary>
[Trait("needs", "rdma")]
public sealed class IncomingMigrationTests
{
    public static TheoryData<SmallMachine.Step> BrokenOff =>
        [.. Enum.GetValues<SmallMachine.Step>().Where(step => step < SmallMachine.Step.Complete)];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_machine_arrives_and_its_RAM_is_in_the_capture(bool pinAll)
    {
        using RunningDestination destination = new();
        using RdmaSource source = destination.Connect(pinAll);
        new SmallMachine(source, pinAll).RunTo(SmallMachine.Step.Complete);
        source.Disconnect();
        Assert.Equal(
            [MigrationStatus.Setup, MigrationStatus.Active, MigrationStatus.Completed],
            [destination.Next().Status, destination.Next().Status, destination.Next().Status]);
        MigrationInfo info = destination.Process.Query();
        Assert.Equal(
            (StreamedMachine.Machine, pinAll ? RamMode.PinAll : RamMode.Dynamic, StreamedMachine.RamSize), (info.Machine, info.Mode, (int)info.RamTotal));
        Assert.Equal(destination.File, info.File);
        Assert.True(File.ReadAllBytes(destination.File).AsSpan().IndexOf(StreamedMachine.Ram.AsSpan(123 * 4096, 4096)) > 0);
    }

    [Fact]
    public void A_machine_arrives_over_IPv6()
    {
        using RunningDestination destination = new(address: RdmaAddress.V6);
        using RdmaSource source = destination.Connect();
        new SmallMachine(source, pinAll: false).RunTo(SmallMachine.Step.Complete);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Theory]
    [MemberData(nameof(BrokenOff))]
    public void A_source_that_disconnects_anywhere_leaves_no_file_and_the_next_works(SmallMachine.Step step)
    {
        using RunningDestination destination = new();
        using (RdmaSource source = destination.Connect())
        {
            new SmallMachine(source, pinAll: false).RunTo(step);
        }

        MigrationInfo failed = destination.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Disconnected), (failed.Status, failed.ErrorClass));
        Assert.Contains("disconnected", failed.ErrorDescription, StringComparison.Ordinal);
        destination.Settle();
        Assert.False(File.Exists(destination.File));
        Assert.Empty(destination.LeftBehind);
        Assert.Equal(failed.ErrorDescription, destination.Process.Query().ErrorDescription);
        using RdmaSource next = destination.Connect();
        new SmallMachine(next, pinAll: false).RunTo(SmallMachine.Step.Complete);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Theory]
    [MemberData(nameof(BrokenOff))]
    public void Cancel_at_any_step_disconnects_the_source_and_the_next_migration_works(SmallMachine.Step step)
    {
        using RunningDestination destination = new();
        using (RdmaSource source = destination.Connect())
        {
            new SmallMachine(source, pinAll: false).RunTo(step);
            Assert.Equal(MigrationStatus.Setup, destination.Next().Status);
            destination.Process.Cancel();
            source.AwaitDisconnect();
        }

        MigrationInfo cancelled = destination.Ended();
        Assert.Equal(MigrationStatus.Cancelled, cancelled.Status);
        Assert.False(File.Exists(destination.File));
        using RdmaSource next = destination.Connect();
        new SmallMachine(next, pinAll: false).RunTo(SmallMachine.Step.Complete);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Theory]
    [MemberData(nameof(BrokenOff))]
    public void Quit_at_any_step_ends_the_main_loop_within_five_seconds(SmallMachine.Step step)
    {
        using RunningDestination destination = new();
        using RdmaSource source = destination.Connect();
        new SmallMachine(source, pinAll: false).RunTo(step);
        destination.Process.Quit();
        destination.AwaitEnd(TimeSpan.FromSeconds(5));
        Assert.False(File.Exists(destination.File));
    }

    [Fact]
    public void Once_ends_the_main_loop_after_a_failed_migration()
    {
        using RunningDestination destination = new(options => options with { Once = true });
        using (RdmaSource source = destination.Connect())
        {
            new SmallMachine(source, pinAll: false).RunTo(SmallMachine.Step.HalfWritten);
        }

        destination.AwaitEnd(TimeSpan.FromSeconds(60));
        Assert.Equal(MigrationStatus.Failed, destination.Process.Query().Status);
    }

    [Fact]
    public void A_source_that_connects_and_says_nothing_is_dropped_after_the_setup_timeout()
    {
        using RunningDestination destination = new(options => options.With(MigrationParameters.SetupTimeout, TimeSpan.FromSeconds(1)));
        using RdmaSource source = destination.Connect();
        MigrationInfo failed = destination.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Timeout), (failed.Status, failed.ErrorClass));
        source.AwaitDisconnect();
    }

    [Theory]
    [InlineData(SmallMachine.Step.Announced, "RamBlocksRequest")]
    [InlineData(SmallMachine.Step.Requested, "RegisterFinished")]
    public void A_source_that_is_silent_in_the_block_exchange_is_dropped_after_the_setup_timeout(SmallMachine.Step step, string awaited)
    {
        using RunningDestination destination = new(options => options.With(MigrationParameters.SetupTimeout, TimeSpan.FromSeconds(10)));
        using RdmaSource source = destination.Connect();
        new SmallMachine(source, pinAll: false).RunTo(step);
        MigrationInfo failed = destination.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Timeout), (failed.Status, failed.ErrorClass));
        Assert.StartsWith($"{awaited}: the source {source.LocalEndPoint} ", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("10 s", failed.ErrorDescription, StringComparison.Ordinal);
        source.AwaitDisconnect();
    }

    [Fact]
    public void A_source_may_be_silent_longer_than_the_setup_timeout_before_and_after_the_exchange()
    {
        TimeSpan timeout = TimeSpan.FromSeconds(10);
        using RunningDestination destination = new(options => options.With(MigrationParameters.SetupTimeout, timeout));
        using RdmaSource source = destination.Connect();
        SmallMachine machine = new(source, pinAll: false);
        machine.RunTo(SmallMachine.Step.Configured);
        Thread.Sleep(timeout + TimeSpan.FromSeconds(2));
        machine.RunTo(SmallMachine.Step.HalfWritten);
        Thread.Sleep(timeout + TimeSpan.FromSeconds(2));
        machine.RunTo(SmallMachine.Step.Complete);
        source.Disconnect();
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Fact]
    public void A_migration_that_takes_too_long_fails_with_the_bound_in_the_error()
    {
        using RunningDestination destination = new(options => options.With(MigrationParameters.Timeout, TimeSpan.FromSeconds(2)));
        using RdmaSource source = destination.Connect();
        new SmallMachine(source, pinAll: false).RunTo(SmallMachine.Step.Announced);
        MigrationInfo failed = destination.Ended();
        Assert.Equal(FailureReason.Timeout, failed.ErrorClass);
        Assert.Contains("2 s", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void More_RAM_than_allowed_is_refused_with_the_block_and_the_bound()
    {
        using RunningDestination destination = new(options => options.With(MigrationParameters.MaxRam, 1UL << 20));
        using RdmaSource source = destination.Connect();
        new SmallMachine(source, pinAll: false).RunTo(SmallMachine.Step.Announced);
        MigrationInfo failed = destination.Ended();
        Assert.Equal(FailureReason.Memory, failed.ErrorClass);
        Assert.Contains("pc.ram", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("1048576", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void COLO_is_refused()
    {
        using RunningDestination destination = new();
        using RdmaSource source = destination.Connect();
        source.Send(3, [.. "QEVM"u8, 0, 0, 0, 3, 0x07, 0, 0, 0, 4, .. "test"u8, 0x08, 0, 8, 0, 0]);
        Assert.Contains("x-colo", destination.Ended().ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void A_target_directory_that_is_gone_fails_before_the_source_has_sent_its_machine()
    {
        using RunningDestination destination = new(options => options with { Target = CaptureTarget.ToDirectory("/nowhere/at/all") });
        using RdmaSource source = destination.Connect();
        source.AwaitDisconnect();
        MigrationInfo failed = destination.Ended();
        Assert.Equal(FailureReason.Storage, failed.ErrorClass);
        Assert.Contains("/nowhere/at/all", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void Exactly_one_receive_thread_exists_while_a_migration_runs_and_none_afterwards()
    {
        using RunningDestination destination = new();
        using RdmaSource source = destination.Connect();
        new SmallMachine(source, pinAll: false).RunTo(SmallMachine.Step.HalfWritten);
        Assert.Equal(1, Threads("mig/dst/main"));
        destination.Process.Cancel();
        destination.Ended();
        destination.Settle();
        Assert.Equal(0, Threads("mig/dst/main"));
    }

    [Fact]
    public async Task Queries_during_migrations_and_teardowns_always_answer()
    {
        using RunningDestination destination = new();
        using CancellationTokenSource done = new();
        Task queries = Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                MigrationInfo info = destination.Process.Query();
                Assert.InRange(info.RamTransferred, 0, info.RamTotal);
            }
        });
        for (int i = 0; i < 6; i++)
        {
            using RdmaSource source = destination.Connect(pinAll: i % 2 == 0);
            new SmallMachine(source, pinAll: i % 2 == 0).RunTo(i % 3 == 0 ? SmallMachine.Step.HalfWritten : SmallMachine.Step.Complete);
            source.Disconnect();
            destination.Ended();
        }

        await done.CancelAsync();
        await queries;
    }

    [Fact]
    public void Receive_thread_has_the_error_within_100_milliseconds_of_the_waiter()
    {
        using RunningDestination destination = new();
        using (RdmaSource source = destination.Connect())
        {
            new SmallMachine(source, pinAll: false).RunTo(SmallMachine.Step.HalfWritten);
        }

        Assert.InRange(destination.Ended().ErrorLatency!.Value, TimeSpan.Zero, TimeSpan.FromMilliseconds(100));
    }

    private static int Threads(string name) =>
        Process.GetCurrentProcess().Threads.Cast<ProcessThread>().Count(thread => File.ReadAllText($"/proc/self/task/{thread.Id}/comm").TrimEnd() == name);
}
