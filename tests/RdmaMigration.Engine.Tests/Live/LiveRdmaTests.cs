using System.Diagnostics;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A machine that runs, over RDMA: its pages go beside the stream, and the return path is a connection of its own.</summary>
[Trait("needs", "rdma")]
public sealed class LiveRdmaTests
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    private static RdmaUri Anywhere => new(RdmaAddress.V4.ToString(), 0);

    [Fact]
    public void Two_processes_pass_a_machine_to_and_fro()
    {
        using RunningMachine one = new();
        using RunningMachine other = new();
        (RunningMachine source, RunningMachine destination) = (one, other);
        for (int i = 0; i < 10; i++)
        {
            bool pinAll = i % 4 < 2;
            MigrationInfo done = LiveMigrationTests.Migrate(source, destination, Anywhere, options => options.With(MigrationParameters.PinAll, pinAll));
            TestContext.Current.TestOutputHelper?.WriteLine($"{done.Mode} {done.TotalTime.TotalMilliseconds:0} ms {done.Live}");
            (source, destination) = (destination, source);
        }

        Assert.Equal((5, 6), (other.Machine.Starts, one.Machine.Starts));
    }

    [Fact]
    public void Metrics_tell_of_registrations_completions_and_wakes()
    {
        using SeenMetrics seen = new("RdmaMigration.Transport");
        using RunningMachine source = new();
        using RunningMachine destination = new();
        LiveMigrationTests.Migrate(source, destination, Anywhere);
        seen.AssertHas(
            "rdmamig_registration_seconds side=source",
            "rdmamig_registration_seconds side=destination",
            "rdmamig_registered_bytes side=source",
            "rdmamig_registered_bytes side=destination",
            "rdmamig_completions_per_wake",
            "rdmamig_waiter_wakes");
    }

    [Fact]
    public void A_device_that_refuses_its_state_leaves_the_machine_at_the_source()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Machine.Second.Loaded = () => throw new InvalidOperationException("no such timer");
        source.Start();
        source.Send(destination.Listen(Anywhere));
        MigrationInfo failed = source.Ended();
        Assert.Contains("SHUT 1", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("the machine goes on here", failed.ErrorDescription, StringComparison.Ordinal);
        AssertAtSource(source, destination, stops: 1);
    }

    [Fact]
    public void Another_length_of_a_block_is_refused_before_RAM()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld, mebibytes: 17));
        source.Start();
        source.Send(destination.Listen(Anywhere));
        Assert.Equal(MigrationStatus.Failed, source.Ended().Status);
        Assert.Contains(
            "RAM block 'main' has 16777216 bytes at the source and 17825792 bytes here", destination.Ended().ErrorDescription, StringComparison.Ordinal);
        AssertAtSource(source, destination, stops: 0);
    }

    [Theory]
    [InlineData(MigrationStatus.Active, false)]
    [InlineData(MigrationStatus.PreSwitchover, false)]
    [InlineData(MigrationStatus.PreSwitchover, true)]
    public void A_cancel_at_the_source_leaves_the_machine_there(object at, bool pinAll)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        source.Send(destination.Listen(Anywhere), options => options
            .With(MigrationParameters.PinAll, pinAll)
            .With(MigrationParameters.PauseBeforeSwitchover, true)
            .With(MigrationParameters.MaxBandwidth, at is MigrationStatus.Active ? 1UL << 20 : 1UL << 30));
        source.Until(info => info.Status == (MigrationStatus)at);
        source.Process.Cancel();
        Assert.Equal(MigrationStatus.Cancelled, source.Ended().Status);
        Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
        AssertAtSource(source, destination, stops: at is MigrationStatus.Active ? 0 : 1);
    }

    [Theory]
    [InlineData("setup", false)]
    [InlineData("setup", true)]
    [InlineData("device state", false)]
    [InlineData("device state", true)]
    [InlineData("result", true)]
    public void A_cancel_on_either_side_leaves_the_machine_at_the_source(string moment, bool atDestination)
    {
        RunningMachine? cancelled = null;
        using RunningMachine source = new();
        using RunningMachine destination = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld) { Clearing = () => CancelAt("setup") });
        source.Machine.Counter.Saving = () => CancelAt("device state");
        destination.Machine.Counter.Loaded = () => CancelAt("result");
        cancelled = atDestination ? destination : source;
        source.Start();
        source.Send(destination.Listen(Anywhere));
        MigrationInfo sent = source.Ended();
        MigrationInfo received = destination.Ended();
        Assert.Equal(
            atDestination ? (MigrationStatus.Failed, MigrationStatus.Cancelled) : (MigrationStatus.Cancelled, MigrationStatus.Failed),
            (sent.Status, received.Status));
        Assert.Contains("the machine goes on here", sent.ErrorDescription, StringComparison.Ordinal);
        AssertAtSource(source, destination, stops: moment is "setup" ? 0 : 1);

        void CancelAt(string reached)
        {
            if (reached == moment)
            {
                Cancel(cancelled!);
            }
        }
    }

    /// <summary>The destination loads the devices meanwhile, and cannot report before the source has ended.</summary>
    [Fact]
    public void A_cancel_at_the_source_that_awaits_the_result_leaves_the_machine_stopped_there()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Machine.Counter.Loaded = () =>
        {
            Cancel(source);
            Assert.True(SpinWait.SpinUntil(() => source.Process.Query().Status.IsFinal(), s_soon));
        };
        source.Start();
        source.Send(destination.Listen(Anywhere));
        MigrationInfo sent = source.Ended();
        Assert.Equal(MigrationStatus.Cancelled, sent.Status);
        Assert.Contains("the machine is stopped here", sent.ErrorDescription, StringComparison.Ordinal);

        // It had everything.
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        source.Settle();
        destination.Settle();
        Assert.Equal((false, 1), (source.Machine.IsRunning, source.Machine.Stops));
        Assert.Equal((true, 1), (destination.Machine.IsRunning, destination.Machine.Starts));
    }

    [Fact]
    public void A_cancel_at_the_source_is_too_late_when_the_result_still_comes()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Machine.Counter.Loaded = () => Cancel(source);
        source.Start();
        source.Send(destination.Listen(Anywhere));
        MigrationInfo sent = source.Ended();
        Assert.Equal((MigrationStatus.Completed, true), (sent.Status, sent.Confirmed));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        source.Settle();
        destination.Settle();
        Assert.Equal((false, true), (source.Machine.IsRunning, destination.Machine.IsRunning));
    }

    [Fact]
    public void A_destination_that_is_lost_before_the_switchover_leaves_the_machine_at_the_source()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        source.Send(destination.Listen(Anywhere), options => options.With(MigrationParameters.PauseBeforeSwitchover, true));
        source.Until(info => info.Status is MigrationStatus.PreSwitchover);
        destination.Process.Cancel();
        Assert.Equal(MigrationStatus.Cancelled, destination.Ended().Status);
        Assert.Equal(MigrationStatus.Failed, source.Ended().Status);
        AssertAtSource(source, destination, stops: 1);
    }

    [Fact]
    public void Without_a_return_path_the_machine_moves_unconfirmed()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Machine.Predecessor = source.Machine;
        source.Start();
        source.Send(destination.Listen(Anywhere), options => options.With(MigrationParameters.ReturnPath, false));
        MigrationInfo done = source.Ended();
        Assert.Equal((MigrationStatus.Completed, false), (done.Status, done.Confirmed));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        Assert.Equal((false, true), (source.Machine.IsRunning, destination.Machine.IsRunning));
    }

    /// <summary>
    /// Invariant 7: the registrations that a running machine keeps for all passes, its two connections and their ids go with each migration, whatever ends it.
    /// </summary>
    [Fact]
    public async Task Moves_there_and_back_of_which_some_are_cancelled_leave_nothing_behind()
    {
        using RunningMachine one = new();
        using RunningMachine other = new();
        (RunningMachine source, RunningMachine destination) = (one, other);

        // What is made once for a process is there after these.
        await RoundAsync(pinAll: false);
        await RoundAsync(pinAll: true);
        (VerbsObjects Verbs, ProcessFootprint Process) before = await HeldAsync();
        for (int round = 0; round < 6; round++)
        {
            await RoundAsync(pinAll: round % 2 == 0);
        }

        (VerbsObjects Verbs, ProcessFootprint Process) after = await HeldAsync();
        for (long begun = Stopwatch.GetTimestamp(); !IsSettled() && Stopwatch.GetElapsedTime(begun) < Deadlines.Answer;)
        {
            after = await HeldAsync();
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"before: {before}\nafter:  {after}");
        Assert.Equal(before.Verbs, after.Verbs);
        Assert.Equal((0, 0, 0), (after.Verbs.QueuePairs, after.Verbs.Ids, after.Verbs.MemoryRegions));
        Assert.Equal(before.Process.Files, after.Process.Files);
        Assert.Equal(before.Process.RamMappings, after.Process.RamMappings);
        Assert.Equal(before.Process.MigrationThreads, after.Process.MigrationThreads);

        bool IsSettled() => after.Verbs == before.Verbs && after.Process.Files == before.Process.Files
            && after.Process.MigrationThreads == before.Process.MigrationThreads;

        // One cancel in RAM, one when the machine is stopped, and a move.
        async Task RoundAsync(bool pinAll)
        {
            foreach (MigrationStatus at in (MigrationStatus[])[MigrationStatus.Active, MigrationStatus.PreSwitchover])
            {
                if (!source.Machine.IsRunning)
                {
                    source.Start();
                }

                await source.Send(destination.Listen(Anywhere), options => options
                    .With(MigrationParameters.PinAll, pinAll)
                    .With(MigrationParameters.PauseBeforeSwitchover, true)
                    .With(MigrationParameters.MaxBandwidth, at is MigrationStatus.Active ? 1UL << 20 : 1UL << 30));
                source.Until(info => info.Status == at);
                source.Process.Cancel();
                Assert.Equal(MigrationStatus.Cancelled, source.Ended().Status);
                Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
                source.Settle();
                destination.Settle();
                destination.OnMain(destination.Process.StopListening);
            }

            LiveMigrationTests.Migrate(source, destination, Anywhere, options => options.With(MigrationParameters.PinAll, pinAll));
            (source, destination) = (destination, source);
        }

        static async Task<(VerbsObjects Verbs, ProcessFootprint Process)> HeldAsync() =>
            (await VerbsObjects.OfAsync(Environment.ProcessId), ProcessFootprint.Of(Environment.ProcessId));
    }

    /// <summary>Cancels its migration, and returns when that is in effect.</summary>
    private static void Cancel(RunningMachine machine)
    {
        if (machine.Loop.IsMainThread)
        {
            machine.Process.CancelAtOnce();
            return;
        }

        machine.Process.Cancel();
        Assert.True(SpinWait.SpinUntil(() => machine.Process.Query().Status is MigrationStatus.Cancelling or MigrationStatus.Cancelled, s_soon));
    }

    private static void AssertAtSource(RunningMachine source, RunningMachine destination, int stops)
    {
        source.Settle();
        destination.Settle();
        Assert.Equal((true, stops, 0), (source.Machine.IsRunning, source.Machine.Stops, destination.Machine.Starts));
        Assert.False(destination.Machine.IsRunning);
    }
}
