using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>What two processes answer while a machine moves between them, and what they hold afterwards, however that ends.</summary>
public sealed class LiveProcessTests
{
    private const int WarmUp = 10;
    private const int Migrations = 28;

    /// <summary>How a migration ends.</summary>
    private enum Ending
    {
        Completes,
        SourceCancels,
        DestinationCancels,
        DestinationRefuses,
    }

    [Fact]
    public async Task Queries_while_machines_move_and_migrations_are_torn_down_always_answer()
    {
        using RunningMachine one = new();
        using RunningMachine other = new();
        using CancellationTokenSource done = new();
        Task<long> queries = Task.Run(() =>
        {
            long answers = 0;
            for (; !done.IsCancellationRequested; answers++)
            {
                MigrationInfo info = (answers % 2 == 0 ? one : other).Process.Query();
                Assert.InRange(info.RamTransferred, 0, long.MaxValue);
                Assert.True(info.Status is not MigrationStatus.Failed || info.ErrorDescription is { Length: > 0 });
            }

            return answers;
        });
        Pair machines = new(one, other);
        for (int i = 0; i < 8; i++)
        {
            machines.Run((Ending)(i % 4));
        }

        await done.CancelAsync();
        Assert.InRange(await queries, 1000, long.MaxValue);
    }

    [Fact]
    public void Many_migrations_however_they_end_leave_nothing_behind()
    {
        using RunningMachine one = new();
        using RunningMachine other = new();
        Pair machines = new(one, other);
        ProcessFootprint before = Run(WarmUp);
        ProcessFootprint after = Run(Migrations);
        SpinWait.SpinUntil(
            () => (after = ProcessFootprint.Of(Environment.ProcessId)).Files <= before.Files && after.MigrationThreads <= before.MigrationThreads,
            TimeSpan.FromSeconds(10));
        Assert.Equal((before.MigrationThreads, before.Files, before.RamMappings), (after.MigrationThreads, after.Files, after.RamMappings));

        // The thread pool varies; a thread that each migration leaves behind would be 28. Mappings other than RAM are the runtime's.
        Assert.InRange(after.Threads, 0, before.Threads + 6);

        ProcessFootprint Run(int migrations)
        {
            for (int i = 0; i < migrations; i++)
            {
                machines.Run((Ending)(i % 4));
            }

            // A thread that has ended is there for a moment longer.
            SpinWait.SpinUntil(() => RunningSource.MigrationThreads.Count == 0, TimeSpan.FromSeconds(10));
            return ProcessFootprint.Of(Environment.ProcessId);
        }
    }

    /// <summary>Two processes that a machine moves between.</summary>
    private sealed class Pair(RunningMachine source, RunningMachine destination)
    {
        /// <summary>Migrates once. The machine is at the source or at the destination then, which change places.</summary>
        public void Run(Ending ending)
        {
            if (!source.Machine.IsRunning)
            {
                source.Start();
            }

            (source.Machine.Predecessor, destination.Machine.Predecessor) = (null, source.Machine);
            destination.Machine.Second.Loaded = ending is Ending.DestinationRefuses ? () => throw new InvalidOperationException("no such timer") : null;
            if (destination.Process.Uri is null)
            {
                destination.Listen(LiveMigrationTests.Anywhere("tcp"));
            }

            bool waits = ending is Ending.SourceCancels or Ending.DestinationCancels;
            source.Send(destination.Process.Uri!, options => options.With(MigrationParameters.PauseBeforeSwitchover, waits)).GetAwaiter().GetResult();
            if (waits)
            {
                source.Until(info => info.Status is MigrationStatus.PreSwitchover);
                (ending is Ending.SourceCancels ? source : destination).Process.Cancel();
            }

            MigrationStatus status = source.Ended().Status;
            destination.Ended();
            source.Settle();
            destination.Settle();
            Assert.Equal((ending is Ending.Completes, status is MigrationStatus.Completed), (!source.Machine.IsRunning, destination.Machine.IsRunning));
            if (ending is Ending.Completes)
            {
                (source, destination) = (destination, source);
            }
        }
    }
}
