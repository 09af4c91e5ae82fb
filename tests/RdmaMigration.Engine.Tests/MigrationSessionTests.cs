using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Linux;

namespace RdmaMigration.Engine.Tests;

/// <summary>The transitions of a session whose two threads both set its status.</summary>
public sealed class MigrationSessionTests
{
    private const int Sessions = 2000;

    [Fact]
    public void ACancelAmidTheThreadsOwnTransitionsIsToldInOrderAndEachStatusOnce()
    {
        MainLoop loop = new();
        List<MigrationStatus> told = [];
        SteppingSession? current = null;
        int left = Sessions;
        void Next()
        {
            told.Clear();
            current = new SteppingSession(loop, info => told.Add(info.Status), _ => loop.Schedule(Ended));
            current.Start();
            current.AwaitThread();
            current.Stop(FailureReason.Cancelled, "cancelled");
        }

        void Ended()
        {
            Assert.Equal(MigrationStatus.Setup, told[0]);
            Assert.All(told.Zip(told.Skip(1)), pair => Assert.True(pair.Second.MayFollow(pair.First), string.Join(", ", told)));
            Assert.Equal([MigrationStatus.Cancelling, MigrationStatus.Cancelled], told[^2..]);
            Assert.Equal(FailureReason.Cancelled, current!.Query().ErrorClass);
            if (--left == 0)
            {
                loop.Quit(0);
            }
            else
            {
                Next();
            }
        }

        loop.Schedule(Next);
        Assert.Equal(0, loop.Run());
    }

    /// <summary>Goes on from status to status, and then waits to be stopped.</summary>
    private sealed class SteppingSession(MainLoop loop, Action<MigrationInfo> changed, Action<MigrationSession> ended)
        : MigrationSession("mig/test", loop, NullLogger.Instance, changed, ended)
    {
        private readonly ManualResetEventSlim _runs = new();

        public void AwaitThread() => _runs.Wait();

        protected override void Begin()
        {
        }

        protected override void Work()
        {
            _runs.Set();
            SetStatus(MigrationStatus.Active);
            SetStatus(MigrationStatus.Device);
            Cancellation.WaitHandle.WaitOne();
            Cancellation.ThrowIfCancellationRequested();
        }

        protected override void AfterFailure()
        {
        }

        protected override void Interrupt(string reason)
        {
        }

        protected override void Release() => _runs.Dispose();

        protected override void LogFailure(string reason)
        {
        }

        protected override MigrationInfo Describe(MigrationInfo info) => info;

        protected override void OnFailed()
        {
        }

        protected override string? Remark(bool isStopped) => null;
    }
}
