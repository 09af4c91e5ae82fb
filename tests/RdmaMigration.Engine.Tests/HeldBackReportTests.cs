using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine.Tests;

/// <summary>A quit while the result is being reported to a source that does not take it.</summary>
public sealed class HeldBackReportTests
{
    private static readonly TimeSpan s_bound = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Quit_ends_within_5_s_while_the_source_does_not_take_the_result(bool succeeds)
    {
        MainLoop loop = new();
        MigrationContext context = new(loop, NullLogger.Instance);
        HeldBackSource channel = new();
        ParameterSet parameters = ParameterSet.Defaults.With(MigrationParameters.ReportTimeout, TimeSpan.FromDays(1));
        ReceiveWork work = new(context, parameters, channel, new IncomingSource(channel), new CapturedMachine(64 << 20), new Sink(context, succeeds));
        Migration migration = new(loop, context, work);
        MigrationInfo? ended = null;
        loop.Schedule(() => migration.Start(
            _ => { },
            info =>
            {
                ended = info;
                loop.Quit();
            }));
        Thread main = new(loop.Run) { Name = "main" };
        main.Start();
        Assert.True(channel.IsReporting.Wait(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken), "nothing is reported");

        long asked = Stopwatch.GetTimestamp();
        loop.Schedule(() => migration.Quit("the destination quits"));

        Assert.True(main.Join(TimeSpan.FromSeconds(20)), "the main loop runs on");
        Assert.InRange(Stopwatch.GetElapsedTime(asked), TimeSpan.Zero, s_bound);
        Assert.Equal(succeeds ? MigrationStatus.Completed : MigrationStatus.Failed, ended!.Status);
    }

    /// <summary>Takes the machine at once, or not at all.</summary>
    private sealed class Sink(MigrationContext context, bool succeeds) : IMachineSink
    {
        public void Begin()
        {
        }

        public void Announce(StreamConfiguration configuration)
        {
        }

        public void CheckRoom(ulong ramBytes)
        {
        }

        public void Take(IMachine machine)
        {
            if (!succeeds)
            {
                throw new StorageException("the disk is full");
            }

            context.State.Decide();
        }

        public void AfterFailure()
        {
        }

        public void Interrupt(string reason)
        {
        }

        public string? Remark(bool isStopped) => null;

        public MigrationInfo Describe(MigrationInfo info) => info;

        public void Dispose()
        {
        }
    }
}
