using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Machines.Tests;

/// <summary>Two machines of one process, over a UNIX domain socket: what a program sees that moves.</summary>
public sealed class MachineTests : IDisposable
{
    private const ulong Ram = 16 << 20;

    private readonly WorkDirectory _work = new();
    private readonly Machine _here = new(new MachineOptions { Name = "test-1" });
    private readonly Machine _there = new(new MachineOptions { Name = "test-1" });
    private readonly Counter _counter;
    private readonly Counter _arriving;

    public MachineTests()
    {
        _counter = Prepare(_here);
        _arriving = Prepare(_there);
    }

    private string Uri => $"unix:{_work.File("socket")}";

    public void Dispose()
    {
        _counter.Dispose();
        _arriving.Dispose();
        _here.Dispose();
        _there.Dispose();
        _work.Dispose();
    }

    [Fact]
    public async Task A_program_moves_while_it_writes_and_nothing_is_lost()
    {
        await _here.StartAsync();
        _counter.WaitForMore();
        MachineMigration moved = await MoveAsync(_here, _there);
        _arriving.WaitForMore();
        await _there.StopAsync();

        Assert.Equal((MachineMigrationStatus.Completed, MachineState.Moved), (moved.Status, _here.State));
        Assert.Equal((long)Ram, moved.RamBytes);
        Assert.NotNull(moved.Downtime);
        Assert.NotNull(moved.Tracking);
        Assert.True(_arriving.Count > _counter.Count);
        Assert.Equal(_arriving.Count, _arriving.Sum);
    }

    [Fact]
    public async Task A_machine_that_moved_away_comes_back()
    {
        await _here.StartAsync();
        await MoveAsync(_here, _there);
        await MoveAsync(_there, _here);
        _counter.WaitForMore();
        await _here.StopAsync();

        Assert.Equal((MachineState.Stopped, MachineState.Moved), (_here.State, _there.State));
        Assert.Equal(_counter.Count, _counter.Sum);
    }

    [Fact]
    public async Task A_move_that_pauses_before_the_switchover_goes_on_when_it_is_told_to()
    {
        await _here.StartAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(_here.ContinueAsync);
        Task<MachineMigration> arrival = await ListenAsync(_there, CancellationToken.None);
        Task<MachineMigration> move = _here.MigrateAsync(Uri, new Dictionary<string, string> { ["pause-before-switchover"] = "on" });
        Assert.True(SpinWait.SpinUntil(() => _here.Query().Status is MachineMigrationStatus.PreSwitchover, Deadlines.Migration), $"{_here.Query()}");
        ulong count = _counter.Count;
        Assert.Equal((MachineState.Stopped, MachineState.Created, false), (_here.State, _there.State, move.IsCompleted));

        await _here.ContinueAsync();

        Assert.Equal(MachineMigrationStatus.Completed, (await move).Status);
        await arrival;
        Assert.Equal((MachineState.Moved, MachineState.Running, count), (_here.State, _there.State, _counter.Count));
        await Assert.ThrowsAsync<InvalidOperationException>(_here.ContinueAsync);
    }

    [Fact]
    public Task A_machine_in_huge_pages_moves_there_and_back() => MoveInHugePagesAsync(() => Uri);

    [Fact]
    [Trait("needs", "rdma")]
    public Task A_machine_in_huge_pages_moves_there_and_back_over_RDMA() => MoveInHugePagesAsync(RdmaAddress.NextUri);

    [Fact]
    public async Task A_program_that_marks_its_writes_moves_there_and_back_and_nothing_is_lost()
    {
        MachineOptions options = new() { Name = "marked-1", Tracking = PageTracking.Explicit };
        using Machine here = new(options);
        using Machine there = new(options);
        using Counter counter = Prepare(here, marks: true);
        using Counter arriving = Prepare(there, marks: true);
        await here.StartAsync();
        counter.WaitForMore();
        Assert.Equal(PageTracking.Explicit, (await MoveAsync(here, there)).Tracking);
        arriving.WaitForMore();
        Assert.Equal(PageTracking.Explicit, (await MoveAsync(there, here)).Tracking);
        counter.WaitForMore();
        await here.StopAsync();

        Assert.True(counter.Count > arriving.Count);
        Assert.Equal(counter.Count, counter.Sum);
    }

    [Fact]
    public void A_mark_outside_the_block_is_refused_whatever_tracks_the_writes()
    {
        foreach (PageTracking? tracking in (PageTracking?[])[PageTracking.Explicit, null])
        {
            using Machine machine = new(new MachineOptions { Name = "marked-1", Tracking = tracking });
            MachineRam ram = machine.AddRam("counters", Ram);
            ram.MarkDirty(Ram, 0);
            ram.MarkDirty(0, Ram);
            Assert.Throws<ArgumentOutOfRangeException>(() => ram.MarkDirty(Ram, 1));
            Assert.Throws<ArgumentOutOfRangeException>(() => ram.MarkDirty(1, ulong.MaxValue));
        }
    }

    [Fact]
    public void A_kind_of_tracking_that_there_is_not_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new Machine(new MachineOptions { Name = "test-1", Tracking = (PageTracking)99 }));

    [Fact]
    public async Task A_destination_that_is_not_there_leaves_the_program_running()
    {
        await _here.StartAsync();
        MigrationException failed = await Assert.ThrowsAnyAsync<MigrationException>(() => _here.MigrateAsync(Uri));

        Assert.Equal((FailureReason.Unreachable, MachineState.Running), (failed.Reason, _here.State));
        Assert.Equal(MachineMigrationStatus.Failed, _here.Query().Status);
        _counter.WaitForMore();
    }

    [Fact]
    public async Task A_machine_of_another_name_is_refused_and_runs_on_at_the_source()
    {
        using Machine other = new(new MachineOptions { Name = "other-1" });
        using Counter arriving = Prepare(other);
        using CancellationTokenSource enough = new();
        Task waiting = await ListenAsync(other, enough.Token);
        await _here.StartAsync();
        await Assert.ThrowsAnyAsync<MigrationException>(() => _here.MigrateAsync(Uri));

        Assert.Equal((MachineState.Running, MachineState.Created), (_here.State, other.State));
        Assert.False(waiting.IsCompleted);
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }

    [Fact]
    public async Task A_wait_that_is_cancelled_can_begin_again()
    {
        using CancellationTokenSource enough = new();
        Task waiting = await ListenAsync(_there, enough.Token);
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        await _here.StartAsync();
        await MoveAsync(_here, _there);
        Assert.Equal(MachineState.Running, _there.State);
    }

    [Fact]
    public async Task A_wait_that_is_cancelled_as_a_migration_fails_is_cancelled()
    {
        using Machine other = new(new MachineOptions { Name = "other-1" });
        using Counter arriving = Prepare(other);
        using CancellationTokenSource enough = new();
        Task waiting = await ListenAsync(other, enough.Token);
        other.Process.StatusChanged += info =>
        {
            if (info.Status is MigrationStatus.Failed)
            {
                enough.Cancel();
            }
        };
        await _here.StartAsync();
        await Assert.ThrowsAnyAsync<MigrationException>(() => _here.MigrateAsync(Uri));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(MachineState.Created, other.State);
    }

    [Fact]
    public async Task A_machine_in_use_takes_no_more_RAM_devices_or_program()
    {
        await _here.StartAsync();

        Assert.Throws<InvalidOperationException>(() => _here.AddRam("more", Ram));
        Assert.Throws<InvalidOperationException>(() => _here.AddDevice(Counter.Description, _counter, instanceId: 1));
        Assert.Throws<InvalidOperationException>(() => _here.Program = _arriving);
        await Assert.ThrowsAsync<InvalidOperationException>(() => _here.StartAsync());
        await Assert.ThrowsAsync<InvalidOperationException>(() => _here.ReceiveAsync(Uri));
    }

    [Theory]
    [InlineData("no-such-parameter", "1")]
    [InlineData("downtime-limit", "soon")]
    [InlineData("rdma-pin-all", "on")]
    public async Task A_parameter_that_means_nothing_is_refused(string name, string value)
    {
        await _here.StartAsync();
        await Assert.ThrowsAnyAsync<ArgumentException>(() => _here.MigrateAsync(Uri, new Dictionary<string, string> { [name] = value }));
        Assert.Equal(MachineState.Running, _here.State);
    }

    [Fact]
    public void Every_status_and_kind_of_tracking_has_a_public_name()
    {
        foreach (MigrationStatus status in Enum.GetValues<MigrationStatus>())
        {
            MachineMigration migration = MachineMigration.Of(new MigrationInfo { Status = status });
            Assert.Equal(status.ToString(), migration.Status.ToString());
        }

        foreach (DirtyTracking tracking in Enum.GetValues<DirtyTracking>())
        {
            MigrationInfo info = new() { Status = MigrationStatus.Active, Live = new LiveInfo { Tracking = tracking } };
            Assert.Equal(tracking.ToString(), MachineMigration.Of(info).Tracking.ToString());
            Assert.Equal(tracking, MachineMigration.Of(MachineMigration.Of(info).Tracking!.Value));
        }
    }

    private static async Task MoveInHugePagesAsync(Func<string> uri)
    {
        const ulong length = 6 << 20;

        // The program writes all of its memory all the time, and a busy device takes long for it.
        Dictionary<string, string> parameters = new() { ["downtime-limit"] = "5000" };
        using HugePages reserved = HugePages.TryReserve(count: 8);
        using Machine here = new(new MachineOptions { Name = "huge-1" });
        using Machine there = new(new MachineOptions { Name = "huge-1" });
        MachineRam ram = AddRam(here);
        MachineRam arrivingRam = AddRam(there);
        using Counter counter = Run(here, ram);
        using Counter arriving = Run(there, arrivingRam);
        Assert.All((MachineRam[])[ram, arrivingRam], one => Assert.Equal(2UL << 20, one.Block.PageSize));
        await here.StartAsync();
        counter.WaitForMore();
        MachineMigration moved = await MoveAsync(here, there, uri(), parameters);
        arriving.WaitForMore();
        MachineMigration back = await MoveAsync(there, here, uri(), parameters);
        counter.WaitForMore();
        await here.StopAsync();

        TestContext.Current.TestOutputHelper?.WriteLine($"{moved}\n{back}");
        Assert.True(counter.Count > arriving.Count);
        Assert.Equal(counter.Count, counter.Sum);

        static MachineRam AddRam(Machine machine)
        {
            MachineRam? added = null;
            try
            {
                added = machine.AddRam("counters", length, hugePages: true);
            }
            catch (RamAllocationException e)
            {
                Assert.Skip(e.Message);
            }

            return added;
        }
    }

    private static Counter Prepare(Machine machine, bool marks = false) => Run(machine, machine.AddRam("counters", Ram), marks);

    private static Counter Run(Machine machine, MachineRam ram, bool marks = false)
    {
        Counter counter = new(ram) { Marks = marks };
        machine.AddDevice(Counter.Description, counter);
        machine.Program = counter;
        return counter;
    }

    private Task<MachineMigration> MoveAsync(Machine from, Machine to) => MoveAsync(from, to, Uri);

    private static async Task<MachineMigration> MoveAsync(Machine from, Machine to, string uri, IReadOnlyDictionary<string, string>? parameters = null)
    {
        Task<MachineMigration> arrival = await ListenAsync(to, uri, CancellationToken.None);
        MachineMigration moved = await from.MigrateAsync(uri, parameters);
        await arrival;
        return moved;
    }

    /// <returns>The wait, which has begun.</returns>
    private Task<Task<MachineMigration>> ListenAsync(Machine machine, CancellationToken cancellation) => ListenAsync(machine, Uri, cancellation);

    private static async Task<Task<MachineMigration>> ListenAsync(Machine machine, string uri, CancellationToken cancellation)
    {
        TaskCompletionSource listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<MachineMigration> arrival = machine.ReceiveAsync(uri, listening: _ => listening.SetResult(), cancellation: cancellation);
        await listening.Task.WaitAsync(Deadlines.Start, CancellationToken.None);
        return arrival;
    }
}
