using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Linux;

namespace RdmaMigration.Engine.Tests;

/// <summary>A stop when a machine to be kept is complete.</summary>
public sealed class MachineKeeperTests : IDisposable
{
    private readonly MainLoop _loop = new();
    private readonly string _capture = Path.GetTempFileName();

    public MachineKeeperTests() => File.WriteAllBytes(_capture, ScatteredMachine.Stream());

    public void Dispose() => File.Delete(_capture);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_stop_ends_the_keeping_only_when_the_source_waits_for_the_result(bool waits)
    {
        using MigrationContext context = new(_loop, NullLogger.Instance);
        context.State.GoTo(MigrationStatus.Setup);
        context.State.GoTo(MigrationStatus.Active);
        using HeldBackSource channel = new();
        IncomingSource source = new(channel);
        if (waits)
        {
            source.OpenReturnPath(TimeSpan.Zero, TimeSpan.Zero);
        }

        _loop.Lock.Acquire("test");
        context.Stop(FailureReason.Cancelled, "the destination quits");
        _loop.Lock.Release();
        using CapturedMachine arriving = new(ulong.MaxValue);
        using CaptureLoad load = new(_capture, ParameterSet.Defaults, arriving, CancellationToken.None);
        load.Load();
        KeptMachine? kept = null;
        using MachineKeeper keeper = new(arriving, machine => kept = machine, context, source);

        Exception? stopped = Record.Exception(() => keeper.Take(arriving));

        Assert.Equal((waits, waits), (stopped is OperationCanceledException, kept is null));
        Assert.Equal(waits, arriving.Content is not null);
        Assert.Equal(waits, arriving.Ram is not null);
        if (!waits)
        {
            ScatteredMachine.AssertWhole(kept);
            kept!.Dispose();
        }
    }
}
