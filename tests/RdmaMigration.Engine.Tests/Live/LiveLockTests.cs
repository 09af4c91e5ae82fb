using System.Diagnostics.Metrics;
using System.Globalization;
using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine.Tests;

/// <summary>What holds the big lock in a migration of a machine that runs, for how long, and what does not.</summary>
public sealed class LiveLockTests
{
    private const int Devices = 200;
    private const int Attempts = 20;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_bar = TimeSpan.FromMilliseconds(5);

    [Fact]
    public void Commit_start_stop_and_save_hold_the_lock_and_nothing_else_does()
    {
        using HoldTimes holds = new();
        Move();
        Assert.Equal(["commit", "main", "save", "start", "stop"], holds.All.Select(hold => hold.Site).Distinct().Order());
    }

    /// <summary>
    /// The bar: no hold of 5 ms at the destination, with 200 devices of 64 KiB. The first move is not measured: it compiles the code. Another program of the
    /// host can take the processor away in the middle of a hold, or from the collector that stops this thread. The kernel and the runtime count these times.
    /// There is another attempt only if they account for what is over the bar. One attempt must be under the bar as it is. Each attempt is printed.
    /// </summary>
    [Fact]
    public void The_incoming_side_never_holds_the_lock_for_5_ms()
    {
        Move();
        for (int attempt = 1; ; attempt++)
        {
            using HoldTimes holds = new();
            int main = Move();
            Hold[] incoming = [.. holds.All.Where(hold => hold.Thread == main)];
            string said = string.Join(", ", incoming.GroupBy(hold => hold.Site).OrderBy(site => site.Key).Select(
                site => $"{site.Key} {site.Count()} times, longest {site.MaxBy(hold => hold.Time)}"));
            TestContext.Current.TestOutputHelper?.WriteLine($"attempt {attempt}: {said}");
            Assert.Equal(["commit", "main", "start"], incoming.Select(hold => hold.Site).Distinct().Order());
            Assert.True(incoming.Count(hold => hold.Site == "commit") > 1, said);
            Hold[] over = [.. incoming.Where(hold => hold.Time >= s_bar)];
            if (over.Length == 0)
            {
                return;
            }

            Assert.True(attempt < Attempts && over.All(hold => hold.Time - hold.Waited - hold.Paused < s_bar), said);
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
    public void A_device_that_needs_the_lock_to_decode_is_decoded_on_the_main_thread_with_the_lock_held()
    {
        using HoldTimes holds = new();
        using RunningMachine source = new();
        using RunningMachine destination = new();
        LockedDevice.AddTo(source.Machine).Value = 5;
        LockedDevice locked = LockedDevice.AddTo(destination.Machine);
        List<string> decodes = [];
        locked.Decoding = () =>
        {
            decodes.Add($"{Thread.CurrentThread.Name} {destination.Loop.Lock.IsHeld} {locked.Value}");
            return true;
        };
        source.Start();
        source.Send(destination.Listen(LiveMigrationTests.Anywhere("tcp")));
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        destination.Settle();

        // Its value is committed later, as that of all devices.
        Assert.Equal(["main True 0"], decodes);
        Assert.Equal(5UL, locked.Value);
        Assert.Single(holds.All, hold => hold.Site == "decode");
    }

    [Fact]
    public void A_device_that_refuses_its_state_with_the_lock_held_fails_the_load_and_the_source_goes_on()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        LockedDevice.AddTo(source.Machine).Value = 5;
        LockedDevice.AddTo(destination.Machine).Decoding = () => false;
        source.Start();
        source.Send(destination.Listen(LiveMigrationTests.Anywhere("tcp")));
        MigrationInfo failed = destination.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Stream), (failed.Status, failed.ErrorClass));
        Assert.Contains("device 'locked' instance 0, field 'value'", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Equal(MigrationStatus.Failed, source.Ended().Status);
        Assert.True(source.Machine.IsRunning);
        Assert.False(destination.Machine.IsRunning);
        source.OnMain(source.Machine.Stop);
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

    /// <summary>Moves a machine with many devices.</summary>
    /// <returns>The destination's main thread, the only one that takes its lock.</returns>
    private static int Move()
    {
        using RunningMachine source = new(Loaded);
        using RunningMachine destination = new(Loaded);
        int main = destination.Loop.InvokeAsync(() => Environment.CurrentManagedThreadId).GetAwaiter().GetResult();
        source.Start();
        source.Send(destination.Listen(LiveMigrationTests.Anywhere("unix")));
        MigrationInfo done = source.Ended();
        Assert.True(done.Status is MigrationStatus.Completed, $"{done}");
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        destination.Settle();
        return main;
    }

    private static WritingMachine Loaded(RunningMachine self)
    {
        // No threads: starting one waits until the scheduler runs it.
        WritingMachine machine = new(() => self.Loop.Lock.IsHeld, writers: 0);
        VmStateDescription<byte[]> description = new("large");
        description.Buffer("bytes", 64 << 10, bytes => bytes);
        for (uint i = 0; i < Devices; i++)
        {
            machine.Devices.Add(Device.Create(description, new byte[64 << 10], i));
        }

        return machine;
    }

    /// <summary>One hold of a big lock.</summary>
    /// <param name="Thread">The thread that held it.</param>
    /// <param name="Site">The place that took it.</param>
    /// <param name="Time">From the take to the release.</param>
    /// <param name="Waited">How long the thread waited for a processor since its last release: at most this much of the hold was not its own.</param>
    /// <param name="Paused">How long the collector stopped all threads meanwhile.</param>
    private sealed record Hold(int Thread, string Site, TimeSpan Time, TimeSpan Waited, TimeSpan Paused)
    {
        public override string ToString() => string.Create(
            CultureInfo.InvariantCulture,
            $"{Time.TotalMilliseconds:0.00} ms (no processor {Waited.TotalMilliseconds:0.00} ms, collector {Paused.TotalMilliseconds:0.00} ms)");
    }

    /// <summary>How long the big locks of this process were held.</summary>
    private sealed class HoldTimes : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly List<Hold> _holds = [];
        private readonly TimeSpan _paused = GC.GetTotalPauseDuration();
        private readonly Dictionary<int, (TimeSpan Waited, TimeSpan Paused)> _last = [];

        public HoldTimes()
        {
            _listener.InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name == "rdmamig_biglock_hold_seconds")
                {
                    self.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<double>((_, seconds, tags, _) => Add((string)tags[0].Value!, TimeSpan.FromSeconds(seconds)));
            _listener.Start();
        }

        public IReadOnlyList<Hold> All
        {
            get
            {
                lock (_holds)
                {
                    return [.. _holds];
                }
            }
        }

        public void Dispose() => _listener.Dispose();

        /// <summary>On the thread that has just released the lock.</summary>
        private void Add(string site, TimeSpan time)
        {
            int thread = Environment.CurrentManagedThreadId;
            (TimeSpan Waited, TimeSpan Paused) now = (WaitedForProcessor(), GC.GetTotalPauseDuration());
            lock (_holds)
            {
                (TimeSpan waited, TimeSpan paused) = _last.GetValueOrDefault(thread, (TimeSpan.Zero, _paused));
                _holds.Add(new Hold(thread, site, time, now.Waited - waited, now.Paused - paused));
                _last[thread] = now;
            }
        }

        /// <summary>The second number of schedstat: nanoseconds that this thread was ready to run and had no processor.</summary>
        private static TimeSpan WaitedForProcessor() =>
            TimeSpan.FromMicroseconds(long.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[1], CultureInfo.InvariantCulture) / 1000);
    }
}
