using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>What both sides of many migrations over RDMA have open in one process, however those ended.</summary>
[Trait("needs", "rdma")]
public sealed class OpenFilesTests : IDisposable
{
    private const int Seed = 20261124;
    private const int Rounds = 6;

    /// <summary>Half a MiB of RAM is sent at once and the rest takes two seconds, so that what is to happen amid RAM does.</summary>
    private const ulong Bandwidth = 1 << 20;

    private readonly RunningDestination _destination = new(options => options with
    {
        Target = CaptureTarget.ToDirectory(Path.GetDirectoryName(((CaptureTarget)options.Target).File!)!),
    });

    private readonly RunningSource _source = new();
    private readonly Random _random = new(Seed);

    /// <summary>How a migration ends.</summary>
    private enum Ending
    {
        Completes,
        IsCancelledAtOnce,
        IsCancelledWhileItConnects,
        IsCancelledAtSomeMoment,
        IsCancelledDuringRam,
        DestinationCancelsDuringRam,
        TakesTooLong,
        FindsNobody,
        SourceGoesAwayBeforeItSaysAnything,
        SourceGoesAwayDuringRam,
        SourceIsRefused,
    }

    [Fact]
    public void Many_migrations_over_RDMA_that_end_in_every_way_leave_nothing_open()
    {
        RunAll();
        RunAll();
        string[] before = OpenFiles.Of(Environment.ProcessId);
        for (int round = 0; round < Rounds; round++)
        {
            RunAll();
        }

        // A request for a connection may still be on its way to the destination when its source has given up.
        string[] after = [];
        SpinWait.SpinUntil(() => before.SequenceEqual(after = OpenFiles.Of(Environment.ProcessId)), TimeSpan.FromSeconds(10));
        Assert.Equal(before, after);
    }

    public void Dispose()
    {
        _destination.Dispose();
        _source.Dispose();
    }

    private void RunAll()
    {
        foreach (Ending ending in Enum.GetValues<Ending>())
        {
            Run(ending, pinAll: false, returnPath: true);
            Run(ending, pinAll: true, returnPath: false);
        }
    }

    private void Run(Ending ending, bool pinAll, bool returnPath)
    {
        OutgoingOptions Slow(OutgoingOptions options) => Fast(options).With(MigrationParameters.MaxBandwidth, Bandwidth);
        OutgoingOptions Fast(OutgoingOptions options) => options with
        {
            Uri = new RdmaUri(_destination.EndPoint.Address.ToString(), ending is Ending.FindsNobody ? 1 : _destination.EndPoint.Port),
            Parameters = options.Parameters
                .With(MigrationParameters.PinAll, pinAll)
                .With(MigrationParameters.ReturnPath, returnPath)
                .With(MigrationParameters.Timeout, ending is Ending.TakesTooLong ? TimeSpan.FromMilliseconds(300) : null),
        };
        switch (ending)
        {
            case Ending.Completes:
                EndsAs(MigrationStatus.Completed, Fast);
                break;
            case Ending.IsCancelledAtOnce:
                EndsAs(MigrationStatus.Cancelled, Slow, () => _source.Process.Cancel());
                break;
            case Ending.IsCancelledWhileItConnects:
                EndsAs(MigrationStatus.Cancelled, Slow, () =>
                {
                    _source.AwaitPhase(MigrationPhase.Connecting);
                    _source.Process.Cancel();
                });
                break;
            case Ending.IsCancelledAtSomeMoment:
                EndsAs(MigrationStatus.Cancelled, Slow, () =>
                {
                    // Not a wait for anything: the moment itself is the thing that varies, most of them while it connects.
                    using ManualResetEventSlim never = new();
                    never.Wait(_random.Next(150));
                    _source.Process.Cancel();
                });
                break;
            case Ending.IsCancelledDuringRam:
                EndsAs(MigrationStatus.Cancelled, Slow, () =>
                {
                    _source.AwaitPhase(MigrationPhase.Sending);
                    _source.Process.Cancel();
                });
                break;
            case Ending.DestinationCancelsDuringRam:
                EndsAs(MigrationStatus.Failed, Slow, () =>
                {
                    _source.AwaitPhase(MigrationPhase.Sending);
                    _destination.Process.Cancel();
                });
                break;
            case Ending.TakesTooLong:
                EndsAs(MigrationStatus.Failed, Slow);
                break;
            case Ending.FindsNobody:
                EndsAs(MigrationStatus.Failed, Fast);
                break;
            case Ending.SourceGoesAwayBeforeItSaysAnything:
                GoAwayAt(SmallMachine.Step.Connected, pinAll);
                break;
            case Ending.SourceGoesAwayDuringRam:
                GoAwayAt(SmallMachine.Step.HalfWritten, pinAll);
                break;
            case Ending.SourceIsRefused:
                Assert.Throws<ConnectionRejectedException>(() => RdmaSource.Connect(_destination.EndPoint, [1, 2, 3, 4]));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(ending), ending, "no such ending");
        }

        _destination.Settle();
    }

    private void EndsAs(MigrationStatus status, Func<OutgoingOptions, OutgoingOptions> configure, Action? meanwhile = null)
    {
        _source.Send(configure);
        meanwhile?.Invoke();
        Assert.Equal(status, _source.Ended().Status);
        _source.Settle();
    }

    private void GoAwayAt(SmallMachine.Step step, bool pinAll)
    {
        using RdmaSource source = _destination.Connect(pinAll);
        new SmallMachine(source, pinAll).RunTo(step);
    }
}
