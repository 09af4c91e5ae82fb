using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>However a migration of a machine that runs ends, the machine runs on one side at most, and on none only with a clear statement.</summary>
public sealed class LiveEndingTests
{
    /// <summary>In the vmdescription: the destination has everything that it needs by then.</summary>
    private static readonly byte[] s_description = [.. "page_size"u8];

    private static readonly byte[] s_firstDevice = [.. "\u0007counter"u8];

    [Theory]
    [InlineData("The source has another type", "type 'writing-1', the one here 'other-1'")]
    [InlineData("A block is longer here", "RAM block 'main' has 16777216 bytes at the source and 17825792 bytes here")]
    public void A_machine_that_does_not_fit_is_refused_before_RAM_and_runs_on(string difference, string said)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new(self => difference.Contains("type", StringComparison.Ordinal)
            ? new WritingMachine(() => self.Loop.Lock.IsHeld) { Type = "other-1" }
            : new WritingMachine(() => self.Loop.Lock.IsHeld, mebibytes: 17));
        MigrationInfo failed = Fail(source, destination);
        Assert.Contains(said, failed.ErrorDescription, StringComparison.Ordinal);
        AssertNeverStopped(source);
        Assert.All(destination.Machine.Ram, block => Assert.Equal(0UL, block.ResidentBytes));
    }

    [Fact]
    public void A_device_that_refuses_its_state_leaves_the_machine_at_the_source()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Machine.Second.Loaded = () => throw new InvalidOperationException("no such timer");
        MigrationInfo failed = Fail(source, destination);
        Assert.Contains("counter", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("no such timer", failed.ErrorDescription, StringComparison.Ordinal);
        AssertBack(source, "SHUT 1");
        Assert.Equal(0, destination.Machine.Starts);
    }

    [Fact]
    public void A_machine_that_does_not_start_at_the_destination_goes_on_at_the_source()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Machine.RefusesToStart = new InvalidOperationException("no screen");
        Assert.Contains("no screen", Fail(source, destination).ErrorDescription, StringComparison.Ordinal);
        AssertBack(source, "SHUT 1");
        Assert.False(destination.Machine.IsRunning);
    }

    [Fact]
    public void A_device_that_cannot_be_saved_leaves_the_machine_at_the_source()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Machine.Counter.Saving = () => throw new InvalidOperationException("the disk is busy");
        Fail(source, destination);
        AssertBack(source, "the disk is busy");
        Assert.Equal(0, destination.Machine.Starts);
    }

    [Theory]
    [InlineData(MigrationStatus.Active)]
    [InlineData(MigrationStatus.PreSwitchover)]
    public void A_cancel_at_the_source_leaves_the_machine_there(object at)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        MigrationUri uri = destination.Listen(LiveMigrationTests.Anywhere("tcp"));
        source.Send(uri, options => options
            .With(MigrationParameters.PauseBeforeSwitchover, true)
            .With(MigrationParameters.MaxBandwidth, at is MigrationStatus.Active ? 1UL << 20 : 1UL << 30));
        source.Until(info => info.Status == (MigrationStatus)at);

        // A connection without a byte is no migration there.
        destination.Until(info => info.Status is MigrationStatus.Active);
        source.Process.Cancel();
        Assert.Equal(MigrationStatus.Cancelled, source.Ended().Status);
        Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
        AssertRunsAlone(source, destination);
    }

    [Fact]
    public void A_cancel_at_the_destination_leaves_the_machine_at_the_source()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        MigrationUri uri = destination.Listen(LiveMigrationTests.Anywhere("tcp"));
        source.Send(uri, options => options.With(MigrationParameters.MaxBandwidth, 1UL << 20));
        destination.Until(info => info.Status is MigrationStatus.Active);
        destination.Process.Cancel();
        Assert.Equal(MigrationStatus.Cancelled, destination.Ended().Status);
        Assert.Equal(MigrationStatus.Failed, source.Ended().Status);
        AssertRunsAlone(source, destination);
    }

    [Fact]
    public void After_a_failure_the_same_two_processes_can_migrate()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Machine.RefusesToStart = new InvalidOperationException("not yet");
        Fail(source, destination);
        AssertBack(source, "SHUT 1");
        destination.Settle();
        destination.Machine.RefusesToStart = null;
        destination.Machine.Predecessor = source.Machine;
        source.Until(info => info.Status.IsFinal());
        source.Send(destination.Process.Uri!);
        MigrationInfo done = source.Ended();
        Assert.True(done.Status is MigrationStatus.Completed, $"{done}");
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        destination.Settle();
        Assert.Equal((false, true), (source.Machine.IsRunning, destination.Machine.IsRunning));
        Assert.Null(destination.Process.Uri);
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public void A_destination_takes_the_next_source_at_once_when_it_is_not_busy(string kind)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        MigrationUri uri = destination.Listen(LiveMigrationTests.Anywhere(kind));
        for (int i = 0; i < 10; i++)
        {
            source.Send(uri, options => options.With(MigrationParameters.PauseBeforeSwitchover, true));
            source.Until(info => info.Status is MigrationStatus.PreSwitchover);
            destination.Process.Cancel();
            Assert.Equal(MigrationStatus.Cancelled, destination.Ended().Status);
            Assert.True(source.Ended() is { Status: MigrationStatus.Failed, ErrorClass: not FailureReason.Unreachable });
            source.Settle();
            destination.Settle();
        }
    }

    [Fact]
    public void A_destination_that_goes_amid_RAM_leaves_the_machine_running()
    {
        using RunningMachine source = new();
        using ListeningScript destination = new() { When = ([.. "\u0004main"u8], script => script.Close()) };
        destination.Begin();
        MigrationInfo failed = SendTo(source, destination);
        Assert.Equal(FailureReason.Disconnected, failed.ErrorClass);
        AssertNeverStopped(source);
    }

    [Fact]
    public void A_destination_that_goes_amid_device_state_leaves_the_machine_at_the_source()
    {
        using RunningMachine source = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld) { Devices = { Large() } });
        using ListeningScript destination = new() { When = (s_firstDevice, script => script.Close()) };
        destination.Begin();
        SendTo(source, destination);
        AssertBack(source, "the machine goes on here");
    }

    [Fact]
    public void A_destination_that_refuses_everything_at_last_leaves_the_machine_at_the_source()
    {
        using RunningMachine source = new();
        using ListeningScript destination = new() { When = (s_description, script => script.Answer(ListeningScript.Shut(1))) };
        destination.Begin();
        Assert.Equal(FailureReason.Refused, SendTo(source, destination).ErrorClass);
        AssertBack(source, "SHUT 1");
    }

    [Fact]
    public void A_destination_that_goes_when_it_has_everything_keeps_the_machine_stopped_here()
    {
        using RunningMachine source = new();
        using ListeningScript destination = new() { When = (s_description, script => script.Close()) };
        destination.Begin();
        MigrationInfo failed = SendTo(source, destination);
        AssertStopped(source, failed);
    }

    [Fact]
    public void A_cancel_when_the_destination_has_everything_keeps_the_machine_stopped_here()
    {
        using RunningMachine source = new();
        using ListeningScript destination = new() { When = (s_description, _ => source.Process.Cancel()) };
        destination.Begin();
        source.Start();
        source.Send(destination.Uri);
        MigrationInfo ended = source.Ended();
        Assert.Equal(MigrationStatus.Cancelled, ended.Status);
        AssertStopped(source, ended);
    }

    [Fact]
    public void A_cancel_that_comes_before_the_result_is_too_late()
    {
        using RunningMachine source = new();
        using ListeningScript destination = new() { When = (s_description, AnswerTooLate) };
        destination.Begin();
        source.Start();
        source.Send(destination.Uri);
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
        source.Settle();
        Assert.False(source.Machine.IsRunning);

        void AnswerTooLate(ListeningScript script)
        {
            source.Process.Cancel();
            source.OnMain(() => { });
            script.Answer(ListeningScript.Shut(0));
        }
    }

    [Fact]
    public void A_machine_that_cannot_go_on_here_is_said_to_run_nowhere()
    {
        using RunningMachine source = new();
        using ListeningScript destination = new() { When = (s_description, script => script.Answer(ListeningScript.Shut(1))) };
        destination.Begin();
        source.Start();
        source.Machine.RefusesToStart = new InvalidOperationException("no memory");
        source.Send(destination.Uri);
        MigrationInfo failed = source.Ended();
        Assert.Contains("runs nowhere", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("no memory", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void A_machine_that_runs_takes_no_others_place()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Start();
        MigrationInfo failed = Fail(source, destination);
        Assert.Equal(FailureReason.Policy, failed.ErrorClass);
        AssertNeverStopped(source);
        Assert.True(destination.Machine.IsRunning);
        destination.OnMain(destination.Machine.Stop);
    }

    /// <summary>More than the kernels' buffers hold.</summary>
    private static VmState.Device Large()
    {
        VmState.VmStateDescription<byte[]> description = new("zlarge");
        description.Buffer("bytes", 64 << 20, bytes => bytes);
        return VmState.Device.Create(description, new byte[64 << 20]);
    }

    private static MigrationInfo SendTo(RunningMachine source, ListeningScript destination)
    {
        source.Start();
        source.Send(destination.Uri);
        MigrationInfo failed = source.Ended();
        Assert.Equal(MigrationStatus.Failed, failed.Status);
        source.Settle();
        return failed;
    }

    /// <returns>How it failed at the destination.</returns>
    private static MigrationInfo Fail(RunningMachine source, RunningMachine destination)
    {
        MigrationUri uri = destination.Listen(LiveMigrationTests.Anywhere("tcp"));
        source.Start();
        source.Send(uri);
        MigrationInfo failed = destination.Ended();
        Assert.Equal(MigrationStatus.Failed, failed.Status);
        return failed;
    }

    private static void AssertNeverStopped(RunningMachine source)
    {
        source.Settle();
        Assert.Equal((true, 1, 0), (source.Machine.IsRunning, source.Machine.Starts, source.Machine.Stops));
        MigrationInfo failed = source.Process.Query();
        Assert.Equal(MigrationStatus.Failed, failed.Status);
        Assert.Contains("the machine goes on here", failed.ErrorDescription, StringComparison.Ordinal);
    }

    private static void AssertBack(RunningMachine source, string said)
    {
        source.Settle();
        Assert.Equal((true, 2, 1), (source.Machine.IsRunning, source.Machine.Starts, source.Machine.Stops));
        MigrationInfo failed = source.Process.Query();
        Assert.Equal(MigrationStatus.Failed, failed.Status);
        Assert.Contains(said, failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("the machine goes on here", failed.ErrorDescription, StringComparison.Ordinal);
    }

    private static void AssertStopped(RunningMachine source, MigrationInfo ended)
    {
        source.Settle();
        Assert.Equal((false, 1, 1), (source.Machine.IsRunning, source.Machine.Starts, source.Machine.Stops));
        Assert.Contains("the machine is stopped here", ended.ErrorDescription, StringComparison.Ordinal);
    }

    private static void AssertRunsAlone(RunningMachine source, RunningMachine destination)
    {
        source.Settle();
        destination.Settle();
        Assert.Equal((true, false, 0), (source.Machine.IsRunning, destination.Machine.IsRunning, destination.Machine.Starts));
    }
}
