using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>The source is stopped and waits for migrate-continue. Whatever ends the migration then, the machine goes on there, and can move at once.</summary>
public sealed class PreSwitchoverTests
{
    /// <summary>What ends the migration.</summary>
    public enum Fault
    {
        CancelAtSource,
        CancelAtDestination,
        QuitOfDestination,
        Cut,
    }

    [Theory]
    [InlineData(Fault.CancelAtSource)]
    [InlineData(Fault.CancelAtDestination)]
    [InlineData(Fault.QuitOfDestination)]
    [InlineData(Fault.Cut)]
    public async Task A_machine_that_waits_goes_on_at_the_source(Fault fault)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Listen(LiveMigrationTests.Anywhere("tcp"));
        string uri = $"tcp:127.0.0.1:{destination.Process.LocalEndPoint!.Port}";
        using HoldingProxy link = new HoldingProxy(uri).Begin();
        source.Start();
        await source.Send(MigrationUri.Parse(link.Uri), options => options.With(MigrationParameters.PauseBeforeSwitchover, true));
        source.Until(info => info.Status is MigrationStatus.PreSwitchover);
        Assert.Equal((false, false), (source.Machine.IsRunning, destination.Machine.IsRunning));

        Strike(fault, source, destination, link);

        MigrationInfo ended = source.Ended();
        Assert.Equal(fault is Fault.CancelAtSource ? MigrationStatus.Cancelled : MigrationStatus.Failed, ended.Status);
        Assert.Equal(fault is Fault.CancelAtSource, ended.IsCancelledInPause);
        Assert.Contains("the machine goes on here", ended.ErrorDescription, StringComparison.Ordinal);
        source.Settle();
        Assert.Equal((true, 1, 0), (source.Machine.IsRunning, source.Machine.Stops, destination.Machine.Starts));
        if (fault is Fault.QuitOfDestination)
        {
            destination.AwaitEnd(TimeSpan.FromSeconds(5));
            return;
        }

        Assert.Equal(fault is Fault.CancelAtDestination ? MigrationStatus.Cancelled : MigrationStatus.Failed, destination.Ended().Status);
        destination.Settle();
        destination.Machine.Predecessor = source.Machine;
        await source.Send(MigrationUri.Parse(uri));
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Fact]
    public async Task A_source_that_quits_ends_within_5_s_with_its_machine()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        await source.Send(
            destination.Listen(LiveMigrationTests.Anywhere("tcp")), options => options.With(MigrationParameters.PauseBeforeSwitchover, true));
        source.Until(info => info.Status is MigrationStatus.PreSwitchover);
        source.Process.Quit();
        source.AwaitEnd(TimeSpan.FromSeconds(5));
        Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
        Assert.Equal((true, 0), (source.Machine.IsRunning, destination.Machine.Starts));
    }

    [Fact]
    public async Task A_cancel_has_QEMUs_statuses_and_no_other_migration_begins_before_its_end()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        List<MigrationStatus> statuses = [];
        List<Task> others = [];
        source.Process.StatusChanged += info =>
        {
            statuses.Add(info.Status);
            if (!info.Status.IsFinal())
            {
                others.Add(source.Send(destination.Process.Uri!));
            }
        };
        source.Start();
        await source.Send(
            destination.Listen(LiveMigrationTests.Anywhere("tcp")), options => options.With(MigrationParameters.PauseBeforeSwitchover, true));
        source.Until(info => info.Status is MigrationStatus.PreSwitchover);
        source.Process.Cancel();
        source.Ended();
        Assert.Equal(
            [MigrationStatus.Setup, MigrationStatus.Active, MigrationStatus.PreSwitchover, MigrationStatus.Cancelling, MigrationStatus.Cancelled], statuses);
        foreach (Task other in others)
        {
            Assert.Equal(FailureReason.Policy, (await Assert.ThrowsAsync<MigrationException>(() => other)).Reason);
        }
    }

    private static void Strike(Fault fault, RunningMachine source, RunningMachine destination, HoldingProxy link)
    {
        switch (fault)
        {
            case Fault.CancelAtSource:
                source.Process.Cancel();
                break;
            case Fault.CancelAtDestination:
                destination.Process.Cancel();
                break;
            case Fault.QuitOfDestination:
                destination.Process.Quit();
                break;
            default:
                link.Cut();
                break;
        }
    }
}
