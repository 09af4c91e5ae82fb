using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Linux;

namespace RdmaMigration.Engine.Tests;

/// <summary>A migration whose work does what a test says.</summary>
public sealed class MigrationTests
{
    private const int Migrations = 2000;

    [Fact]
    public void A_cancel_amid_transitions_is_reported_in_order_and_each_status_once()
    {
        MainLoop loop = new();
        List<MigrationStatus> told = [];
        int left = Migrations;
        void Next()
        {
            told.Clear();
            MigrationContext context = new(loop, NullLogger.Instance);
            SteppingWork work = new(context);
            Migration migration = new(loop, context, work);
            migration.Start(info => told.Add(info.Status), _ => loop.Schedule(() => Ended(migration)));
            work.AwaitThread();
            migration.Stop(FailureReason.Cancelled, "cancelled");
        }

        void Ended(Migration migration)
        {
            Assert.Equal(MigrationStatus.Setup, told[0]);
            Assert.All(told.Zip(told.Skip(1)), pair => Assert.True(pair.Second.MayFollow(pair.First), string.Join(", ", told)));
            Assert.Equal([MigrationStatus.Cancelling, MigrationStatus.Cancelled], told[^2..]);
            Assert.Equal(FailureReason.Cancelled, migration.Query().ErrorClass);
            if (--left == 0)
            {
                loop.Quit();
            }
            else
            {
                Next();
            }
        }

        loop.Schedule(Next);
        loop.Run();
        Assert.Equal(0, left);
    }

    [Theory]
    [InlineData(Defect.AfterFailure)]
    [InlineData(Defect.Remark)]
    [InlineData(Defect.Disposal)]
    public void A_defect_at_the_end_is_logged_and_everything_is_torn_down(Defect defect)
    {
        MainLoop loop = new();
        DefectLog log = new();
        FailingWork work = new(defect);
        MigrationInfo? ended = null;
        loop.Schedule(() => new Migration(loop, new MigrationContext(loop, log), work).Start(
            _ => { },
            info =>
            {
                ended = info;
                loop.Quit();
            }));
        loop.Run();
        Assert.Equal(MigrationStatus.Failed, ended!.Status);
        Assert.Equal(defect is Defect.Remark ? FailureReason.Internal : FailureReason.Storage, ended.ErrorClass);
        Assert.Equal(1, work.Disposals);
        Assert.IsType<InvalidTimeZoneException>(Assert.Single(log.Defects));
    }

    [Fact]
    public void A_thread_that_cannot_be_started_fails_the_migration_which_is_torn_down()
    {
        MainLoop loop = new();
        FailingWork work = new(Defect.None);
        MigrationInfo? ended = null;
        List<MigrationStatus> told = [];
        Migration migration = new(loop, new MigrationContext(loop, NullLogger.Instance), work, _ => throw new InsufficientMemoryException("no thread"));
        loop.Schedule(() => migration.Start(
            info => told.Add(info.Status),
            info =>
            {
                ended = info;
                loop.Quit();
            }));

        loop.Run();

        Assert.Equal((MigrationStatus.Failed, FailureReason.Memory), (ended!.Status, ended.ErrorClass));
        Assert.Contains("no thread", ended.ErrorDescription, StringComparison.Ordinal);
        Assert.Equal([MigrationStatus.Setup, MigrationStatus.Failed], told);
        Assert.Equal(1, work.Disposals);
    }

    [Theory]
    [InlineData(Ending.Success, MigrationStatus.Completed)]
    [InlineData(Ending.Failure, MigrationStatus.Failed)]
    [InlineData(Ending.Cancel, MigrationStatus.Cancelled)]
    [InlineData(Ending.CancelTwiceThenQuit, MigrationStatus.Cancelled)]
    [InlineData(Ending.Timeout, MigrationStatus.Failed)]
    public void The_teardown_runs_once_on_the_main_thread_when_the_thread_is_gone(Ending ending, object status)
    {
        MainLoop loop = new();
        MigrationContext context = new(loop, NullLogger.Instance);
        List<string> disposals = [];
        EndingWork work = new(context, ending, thread => disposals.Add($"main={loop.IsMainThread} held={loop.Lock.IsHeld} runs={thread.IsAlive}"));
        List<MigrationStatus> ends = [];
        Migration migration = new(loop, context, work);
        loop.Schedule(() => migration.Start(_ => { }, info =>
        {
            ends.Add(info.Status);
            loop.StartTimer(TimeSpan.FromMilliseconds(20), loop.Quit);
        }));
        loop.Schedule(() =>
        {
            work.AwaitThread();
            for (int i = 0; i < (ending is Ending.Cancel ? 1 : ending is Ending.CancelTwiceThenQuit ? 2 : 0); i++)
            {
                migration.Stop(FailureReason.Cancelled, "cancelled");
            }

            if (ending is Ending.CancelTwiceThenQuit)
            {
                migration.Quit("the process ends");
            }
            else if (ending is Ending.Timeout)
            {
                migration.Stop(FailureReason.Timeout, "too late");
            }
        });
        loop.Run();
        Assert.Equal(["main=True held=True runs=False"], disposals);
        Assert.Equal([(MigrationStatus)status], ends);
    }

    [Fact]
    public void The_lock_is_free_while_the_main_thread_joins_the_migrations_thread()
    {
        MainLoop loop = new();
        bool hasTaken = false;

        // Its end is reported on the migration's thread, which has scheduled the teardown by then: the main thread joins it, or is about to.
        using ActivityListener listener = new()
        {
            ShouldListenTo = source => source.Name == "RdmaMigration.Engine",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.OperationName == "mig/test")
                {
                    for (int i = 0; i < 100; i++)
                    {
                        loop.Lock.Acquire("test");
                        loop.Lock.Release();
                        Thread.Sleep(1);
                    }

                    hasTaken = true;
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        MigrationContext context = new(loop, NullLogger.Instance);
        EndingWork work = new(context, Ending.Success, _ => Assert.True(hasTaken));
        loop.Schedule(() => new Migration(loop, context, work).Start(_ => { }, _ => loop.Quit()));
        Thread main = new(loop.Run) { IsBackground = true };
        main.Start();
        Assert.True(main.Join(TimeSpan.FromSeconds(20)), "the join holds the lock");
        Assert.True(hasTaken);
    }

    [Fact]
    public void The_first_reason_stays_and_a_stop_after_it_is_too_late()
    {
        MigrationState state = new();
        state.GoTo(MigrationStatus.Setup);
        FailureCause cause = state.Settle(new MigrationException(FailureReason.Stream, "first"));
        Assert.Equal((FailureReason.Stream, false), (cause.Reason, cause.IsStopped));
        Assert.False(state.TryStop(FailureReason.Timeout, "late"));
        state.Fail(cause.Reason, cause.Description, latency: null);
        state.Fail(FailureReason.Internal, "second", latency: null);
        Assert.Equal((FailureReason.Stream, "first"), (state.Snapshot().ErrorClass, state.Snapshot().ErrorDescription));
    }

    [Fact]
    public void A_proof_outweighs_a_stop_and_a_stop_outweighs_an_end_without_proof()
    {
        MigrationState unproved = new();
        unproved.GoTo(MigrationStatus.Setup);
        Assert.True(unproved.TryStop(FailureReason.Cancelled, "cancelled"));
        Assert.False(unproved.TryDecide());
        Assert.True(unproved.TryDecide(isFinal: true));
        Assert.False(unproved.TryStop(FailureReason.Timeout, "late"));
        unproved.Finish();
        Assert.Equal((MigrationStatus.Completed, null), (unproved.Snapshot().Status, unproved.Snapshot().ErrorClass));
    }

    /// <summary>Where a work has a defect.</summary>
    public enum Defect
    {
        None,
        AfterFailure,
        Remark,
        Disposal,
    }

    /// <summary>How a work ends.</summary>
    public enum Ending
    {
        Success,
        Failure,
        Cancel,
        CancelTwiceThenQuit,
        Timeout,
    }

    /// <summary>Ends in one of these ways; one that is not its own it waits for.</summary>
    private sealed class EndingWork(MigrationContext context, Ending ending, Action<Thread> disposed) : IMigrationWork
    {
        private readonly ManualResetEventSlim _runs = new();
        private Thread? _thread;

        public string ThreadName => "mig/test";

        public void AwaitThread() => _runs.Wait();

        public void Begin()
        {
        }

        public void Run()
        {
            _thread = Thread.CurrentThread;
            _runs.Set();
            context.State.GoTo(MigrationStatus.Active);
            if (ending is Ending.Failure)
            {
                throw new StorageException("the disk is full");
            }

            if (ending is not Ending.Success)
            {
                context.Cancellation.WaitHandle.WaitOne();
                context.Cancellation.ThrowIfCancellationRequested();
            }
        }

        public void AfterFailure()
        {
        }

        public void Interrupt(string reason)
        {
        }

        public void LimitReport(string reason)
        {
        }

        public string? OnFailed(bool isStopped) => null;

        public void LogFailure(string reason)
        {
        }

        public MigrationInfo Describe(MigrationInfo info) => info;

        public void Dispose()
        {
            disposed(_thread!);
            _runs.Dispose();
        }
    }

    /// <summary>Goes on from status to status, and then waits to be stopped.</summary>
    private sealed class SteppingWork(MigrationContext context) : IMigrationWork
    {
        private readonly ManualResetEventSlim _runs = new();

        public string ThreadName => "mig/test";

        public void AwaitThread() => _runs.Wait();

        public void Begin()
        {
        }

        public void Run()
        {
            _runs.Set();
            context.State.GoTo(MigrationStatus.Active);
            context.State.GoTo(MigrationStatus.Device);
            context.Cancellation.WaitHandle.WaitOne();
            context.Cancellation.ThrowIfCancellationRequested();
        }

        public void AfterFailure()
        {
        }

        public void Interrupt(string reason)
        {
        }

        public void LimitReport(string reason)
        {
        }

        public string? OnFailed(bool isStopped) => null;

        public void LogFailure(string reason)
        {
        }

        public MigrationInfo Describe(MigrationInfo info) => info;

        public void Dispose() => _runs.Dispose();
    }

    /// <summary>Fails, and then has a defect.</summary>
    private sealed class FailingWork(Defect defect) : IMigrationWork
    {
        public int Disposals { get; private set; }

        public string ThreadName => "mig/test";

        public void Begin()
        {
        }

        public void Run() => throw new StorageException("the disk is full");

        public void AfterFailure() => ThrowAt(Defect.AfterFailure);

        public void Interrupt(string reason)
        {
        }

        public void LimitReport(string reason)
        {
        }

        public string? OnFailed(bool isStopped)
        {
            ThrowAt(Defect.Remark);
            return null;
        }

        public void LogFailure(string reason)
        {
        }

        public MigrationInfo Describe(MigrationInfo info) => info;

        public void Dispose()
        {
            Disposals++;
            ThrowAt(Defect.Disposal);
        }

        private void ThrowAt(Defect place)
        {
            if (defect == place)
            {
                throw new InvalidTimeZoneException();
            }
        }
    }

    private sealed class DefectLog : ILogger
    {
        public List<Exception?> Defects { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel is LogLevel.Critical)
            {
                Defects.Add(exception);
            }
        }
    }
}
