using System.Diagnostics.Metrics;
using System.Globalization;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine.Tests;

/// <summary>What holds the big lock in a migration of a machine that runs, for how long, and what does not.</summary>
public sealed class LiveLockTests
{
    private const int Measurements = 3;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_bar = TimeSpan.FromMilliseconds(5);

    [Fact]
    public void Commit_start_stop_and_save_hold_the_lock_and_nothing_else_does()
    {
        using HoldTimes holds = new();
        Move(() => new RunningMachine(self => Loaded(self, devices: 200)));
        Assert.Equal(["commit", "main", "save", "start", "stop"], holds.Sites.Order());
        TestContext.Current.TestOutputHelper?.WriteLine(holds.ToString());
        Assert.True(holds.Count("commit") > 1, $"{holds}");
    }

    /// <summary>
    /// The bar: 5 ms with 200 devices of 64 KiB. Other programs of the host can take the processor away in the middle of a hold, so a measurement that is over
    /// the bar is repeated from its beginning, twice at most. A hold that is too long by itself is too long each time.
    /// </summary>
    [Fact]
    public void The_incoming_side_never_holds_the_lock_for_5_ms()
    {
        for (int attempt = 1; ; attempt++)
        {
            using HoldTimes holds = new();
            int main = Move(() => new RunningMachine(self => Loaded(self, devices: 200)));
            holds.KeepOnly(main);
            TestContext.Current.TestOutputHelper?.WriteLine($"measurement {attempt}: {holds}");
            Assert.Equal(["commit", "main", "start"], holds.Sites.Order());
            Assert.True(holds.Count("commit") > 1, $"{holds}");
            if (attempt == Measurements || holds.Longest() < s_bar)
            {
                Assert.InRange(holds.Longest(), TimeSpan.Zero, s_bar);
                return;
            }
        }
    }

    [Fact]
    public void Hooks_of_devices_run_on_the_main_thread_with_the_lock_held()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        List<string> held = [];
        source.Machine.Counter.Saving = () => held.Add(Where(source, "pre_save"));
        destination.Machine.Counter.Loaded = () => held.Add(Where(destination, "post_load"));
        source.Start();
        source.Send(destination.Listen(LiveMigrationTests.Anywhere("tcp")));
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        Assert.Equal(["pre_save main True", "post_load main True"], held);

        static string Where(RunningMachine machine, string hook) => $"{hook} {Thread.CurrentThread.Name} {machine.Loop.Lock.IsHeld}";
    }

    [Fact]
    public async Task The_threads_of_a_migration_are_gone_after_it()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        await source.Send(
            destination.Listen(LiveMigrationTests.Anywhere("tcp")), options => options.With(MigrationParameters.PauseBeforeSwitchover, true));
        source.Until(info => info.Status is MigrationStatus.PreSwitchover);
        Assert.Superset(new HashSet<string> { "mig/src/main", "mig/src/return", "mig/dst/main" }, RunningSource.MigrationThreads.ToHashSet());
        await source.Process.ContinueAsync();
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        source.Settle();
        destination.Settle();
        Assert.True(SpinWait.SpinUntil(() => RunningSource.MigrationThreads.Count == 0, s_soon), string.Join(", ", RunningSource.MigrationThreads));
    }

    [Fact]
    public void What_is_said_of_the_lock_must_be_the_truth()
    {
        BigLock bigLock = new();
        BigLockState state = BigLockState.NotHeld;
        bigLock.Acquire(ref state, "test");
        Assert.Equal(BigLockState.Held, state);
        BigLockState wrong = BigLockState.NotHeld;
        Assert.Throws<InvalidOperationException>(() => bigLock.Acquire(ref wrong, "test"));
        Assert.Throws<InvalidOperationException>(() => bigLock.Assert(BigLockState.NotHeld, "test"));
        Assert.Throws<InvalidOperationException>(() => bigLock.Release(ref wrong, "test"));
        bigLock.Release(ref state, "test");
        Assert.Equal(BigLockState.NotHeld, state);
        Assert.Throws<InvalidOperationException>(() => bigLock.Assert(BigLockState.Held, "test"));
    }

    /// <summary>Moves a machine.</summary>
    /// <param name="create">Creates the source, then the destination.</param>
    /// <returns>The destination's main thread, the only one that takes its lock.</returns>
    private static int Move(Func<RunningMachine> create)
    {
        using RunningMachine source = create();
        using RunningMachine destination = create();
        int main = destination.Loop.InvokeAsync(() => Environment.CurrentManagedThreadId).GetAwaiter().GetResult();
        source.Start();
        source.Send(destination.Listen(LiveMigrationTests.Anywhere("unix")));
        MigrationInfo done = source.Ended();
        Assert.True(done.Status is MigrationStatus.Completed, $"{done}");
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        destination.Settle();
        return main;
    }

    private static WritingMachine Loaded(RunningMachine self, int devices)
    {
        WritingMachine machine = new(() => self.Loop.Lock.IsHeld);
        VmStateDescription<byte[]> description = new("large");
        description.Buffer("bytes", 64 << 10, bytes => bytes);
        for (uint i = 0; i < devices; i++)
        {
            machine.Devices.Add(Device.Create(description, new byte[64 << 10], i));
        }

        return machine;
    }

    /// <summary>How long the big locks of this process were held, by place and thread.</summary>
    private sealed class HoldTimes : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly List<(int Thread, string Site, double Seconds)> _holds = [];

        public HoldTimes()
        {
            _listener.InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name == "rdmamig_biglock_hold_seconds")
                {
                    self.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<double>((_, seconds, tags, _) =>
            {
                lock (_holds)
                {
                    _holds.Add((Environment.CurrentManagedThreadId, (string)tags[0].Value!, seconds));
                }
            });
            _listener.Start();
        }

        public IReadOnlyList<string> Sites => [.. All().Select(hold => hold.Site).Distinct()];

        public int Count(string site) => All().Count(hold => hold.Site == site);

        public TimeSpan Longest() => TimeSpan.FromSeconds(All().Max(hold => hold.Seconds));

        /// <summary>Forgets the holds of all other threads.</summary>
        public void KeepOnly(int thread)
        {
            lock (_holds)
            {
                _holds.RemoveAll(hold => hold.Thread != thread);
            }
        }

        public override string ToString() => string.Join(", ", All().GroupBy(hold => hold.Site, hold => hold.Seconds).OrderBy(site => site.Key).Select(
            site => string.Create(CultureInfo.InvariantCulture, $"{site.Key} {site.Count()} times, longest {site.Max() * 1000:0.00} ms")));

        public void Dispose() => _listener.Dispose();

        private (int Thread, string Site, double Seconds)[] All()
        {
            lock (_holds)
            {
                return [.. _holds];
            }
        }
    }
}
