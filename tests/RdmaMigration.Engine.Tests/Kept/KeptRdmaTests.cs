using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A machine in memory over RDMA: its pages are written from where they lie, and memory that is zero is given back meanwhile.</summary>
[Trait("needs", "rdma")]
public sealed class KeptRdmaTests
{
    /// <summary>Half a MiB of RAM is sent at once and the rest takes four seconds, so that what is to happen amid RAM does.</summary>
    private const ulong Bandwidth = 1 << 19;

    private static RdmaUri Anywhere => new(RdmaAddress.V4.ToString(), 0);

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void A_kept_machine_arrives_whole_over_RDMA_however_often_it_is_sent(bool pinAll, bool returnPath)
    {
        using KeepingProcess one = KeepingProcess.WithMachine();
        using KeepingProcess other = new();
        OutgoingOptions As(OutgoingOptions options, bool pinned) =>
            options.With(MigrationParameters.PinAll, pinned).With(MigrationParameters.ReturnPath, returnPath);

        // Each mode sends what the other one has left in memory.
        foreach (bool pinned in (bool[])[pinAll, !pinAll])
        {
            CutDuringRam(one, other, options => As(options, pinned));
            MigrationInfo sent = one.SendTo(other, configure: options => As(options, pinned));
            Assert.Equal((pinned ? RamMode.PinAll : RamMode.Dynamic, returnPath, null), (sent.Mode, sent.Confirmed, sent.File));
            one.Drop();
            one.Listen(Anywhere);
            other.SendTo(one, configure: options => As(options, !pinned));
            other.Drop();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_kept_machine_is_sent_over_RDMA_to_one_process_after_the_other(bool pinAll)
    {
        using KeepingProcess source = KeepingProcess.WithMachine();
        using KeepingProcess destination = new();
        string[] before = [];
        for (int i = 0; i < 4; i++)
        {
            source.SendTo(destination, Anywhere, options => options.With(MigrationParameters.PinAll, pinAll));
            destination.Drop();
            if (i == 1)
            {
                before = OpenFiles.Of(Environment.ProcessId);
            }
        }

        string[] after = [];
        SpinWait.SpinUntil(() => before.SequenceEqual(after = OpenFiles.Of(Environment.ProcessId)), TimeSpan.FromSeconds(10));
        Assert.Equal(before, after);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_new_bandwidth_applies_to_the_migration_that_runs_over_RDMA(bool pinAll)
    {
        using KeepingProcess source = KeepingProcess.WithMachine();
        using KeepingProcess destination = new();

        // All of RAM would take a minute.
        source.Send(
            destination.Listen(Anywhere), options => options.With(MigrationParameters.PinAll, pinAll).With(MigrationParameters.MaxBandwidth, 1UL << 16));
        source.AwaitPages();
        source.OnMain(() => source.Process.SetLimits(ParameterSet.Defaults));
        MigrationInfo sent = source.Ended();
        Assert.Equal(MigrationStatus.Completed, sent.Status);
        Assert.InRange(sent.TotalTime, TimeSpan.Zero, TimeSpan.FromSeconds(20));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    /// <summary>The source cancels when some of RAM was written.</summary>
    private static void CutDuringRam(KeepingProcess source, KeepingProcess destination, Func<OutgoingOptions, OutgoingOptions> configure)
    {
        source.Send(destination.Listen(Anywhere), options => configure(options).With(MigrationParameters.MaxBandwidth, Bandwidth));
        source.AwaitPages();
        source.Process.Cancel();
        Assert.Equal(MigrationStatus.Cancelled, source.Ended().Status);
        Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
        source.Settle();
        destination.Settle();
        ScatteredMachine.AssertWhole(source.Kept);
        Assert.Null(destination.Kept);
    }
}
