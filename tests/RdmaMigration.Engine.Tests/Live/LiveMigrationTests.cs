using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A machine that writes all the time moves from one process to another.</summary>
public sealed class LiveMigrationTests
{
    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public void No_write_is_lost(string kind)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        Migrate(source, destination, Anywhere(kind));
    }

    [Theory]
    [Trait("needs", "rdma")]
    [InlineData(false)]
    [InlineData(true)]
    public void No_write_is_lost_over_RDMA(bool pinAll)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        MigrationInfo done = Migrate(
            source, destination, new RdmaUri(RdmaAddress.V4.ToString(), 0), options => options.With(MigrationParameters.PinAll, pinAll));
        Assert.Equal((pinAll ? RamMode.PinAll : RamMode.Dynamic, true), (done.Mode, done.Confirmed));
    }

    [Theory]
    [Trait("needs", "rdma")]
    [InlineData(false)]
    [InlineData(true)]
    public void A_device_in_a_package_moves_over_RDMA(bool pinAll)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        LockedDevice.AddTo(source.Machine).Value = 5;
        LockedDevice arrived = LockedDevice.AddTo(destination.Machine);
        Migrate(source, destination, new RdmaUri(RdmaAddress.V4.ToString(), 0), options => options.With(MigrationParameters.PinAll, pinAll));
        Assert.Equal(5UL, arrived.Value);
    }

    [Fact]
    public void No_write_is_lost_over_TLS()
    {
        using WorkDirectory work = new();
        using TlsAuthority authority = new(work);
        string files = authority.Issue();
        using RunningMachine source = new();
        using RunningMachine destination = new();
        MigrationUri uri = destination.Listen(Anywhere("tcp"), options => options.With(MigrationParameters.TlsCreds, files));
        destination.Machine.Predecessor = source.Machine;
        source.Start();
        source.Send(uri, options => options.With(MigrationParameters.TlsCreds, files));
        Assert.True(AssertMoved(source, destination).Confirmed);
    }

    [Theory]
    [InlineData("socket", true)]
    [InlineData("pipe", false)]
    public void No_write_is_lost_over_a_passed_descriptor(string kind, bool isConfirmed)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        (int sending, int receiving) = kind is "socket" ? Descriptors.NewSocketPair() : Descriptors.NewPipe();
        destination.Machine.Predecessor = source.Machine;
        destination.Listen(new DescriptorUri(receiving));
        source.Start();
        source.Send(new DescriptorUri(sending));
        Assert.Equal(isConfirmed, AssertMoved(source, destination).Confirmed);
    }

    [Fact]
    public void No_write_is_lost_between_two_commands()
    {
        using Fifo fifo = new();
        using RunningMachine source = new();
        using RunningMachine destination = new();
        destination.Machine.Predecessor = source.Machine;
        destination.Listen(new ExecUri($"exec cat '{fifo.Path}'"));
        source.Start();
        source.Send(new ExecUri($"exec cat > '{fifo.Path}'"));
        AssertMoved(source, destination);
    }

    /// <summary>The machine is in the file alone, until a process loads it and compares it with what ran.</summary>
    [Theory]
    [InlineData("file")]
    [InlineData("exec")]
    [InlineData("fd")]
    public void No_write_is_lost_through_a_file(string kind)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        source.Send(Stored(FileAccess.Write));
        MigrationInfo saved = source.Ended();
        Assert.True(saved.Status is MigrationStatus.Completed, $"{saved}");
        source.Settle();
        Assert.False(source.Machine.IsRunning);
        destination.Machine.Predecessor = source.Machine;
        destination.Listen(Stored(FileAccess.Read));
        MigrationInfo loaded = destination.Ended();
        Assert.True(loaded.Status is MigrationStatus.Completed, $"{loaded}");
        destination.Settle();
        Assert.Equal((false, true), (source.Machine.IsRunning, destination.Machine.IsRunning));

        MigrationUri Stored(FileAccess access) => kind switch
        {
            "file" => new FileUri(source.File),
            "exec" => new ExecUri(access is FileAccess.Write ? $"cat > '{source.File}'" : $"cat '{source.File}'"),
            _ => new DescriptorUri(Descriptors.Open(source.File, access)),
        };
    }

    [Fact]
    public void The_digests_are_those_of_the_machine_that_has_stopped()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        Migrate(source, destination, Anywhere("tcp"), options => options.With(MigrationParameters.Verify, true));
        Assert.True(destination.Process.Query().IsVerified);
    }

    [Theory]
    [Trait("needs", "rdma")]
    [InlineData(false)]
    [InlineData(true)]
    public void The_digests_over_RDMA_are_those_of_the_machine_that_has_stopped(bool pinAll)
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        Migrate(
            source,
            destination,
            new RdmaUri(RdmaAddress.V4.ToString(), 0),
            options => options.With(MigrationParameters.PinAll, pinAll).With(MigrationParameters.Verify, true));
        Assert.True(destination.Process.Query().IsVerified);
    }

    [Fact]
    public void Two_processes_pass_a_machine_to_and_fro()
    {
        using RunningMachine one = new();
        using RunningMachine other = new();
        (RunningMachine source, RunningMachine destination) = (one, other);
        for (int i = 0; i < 6; i++)
        {
            Migrate(source, destination, Anywhere("tcp"));
            (source, destination) = (destination, source);
        }

        Assert.Equal((3, 4), (other.Machine.Starts, one.Machine.Starts));
    }

    [Fact]
    public void The_statuses_are_those_of_QEMU_on_both_sides()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        MigrationUri uri = destination.Listen(Anywhere("tcp"));
        source.Send(uri);
        Assert.Equal(
            [MigrationStatus.Setup, MigrationStatus.Active, MigrationStatus.Device, MigrationStatus.Completed],
            Enumerable.Range(0, 4).Select(_ => source.Next().Status));
        Assert.Equal(
            [MigrationStatus.Setup, MigrationStatus.Active, MigrationStatus.Completed], Enumerable.Range(0, 3).Select(_ => destination.Next().Status));
    }

    [Fact]
    public void What_was_in_the_destinations_memory_is_gone()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        foreach (RamBlock block in destination.Machine.Ram)
        {
            block.Slice(0, (int)block.Length).Fill(0x5a);
        }

        // Zero pages that have memory, and holes.
        source.Machine.Ram[1].Slice(0, 1 << 20).Clear();
        Migrate(source, destination, Anywhere("unix"));
    }

    [Fact]
    public void The_figures_of_a_completed_migration_are_there()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        MigrationInfo done = Migrate(source, destination, Anywhere("tcp"));
        LiveInfo live = done.Live!;
        Assert.Equal((true, "writing-1"), (done.Confirmed, done.Machine));
        Assert.NotNull(live.Tracking);
        Assert.InRange(live.Iterations, 2, int.MaxValue);
        Assert.InRange(live.Downtime!.Value, TimeSpan.FromMicroseconds(1), done.TotalTime);
        Assert.InRange(live.Bandwidth, 1, long.MaxValue);
        Assert.Equal((long)source.Machine.Ram.TotalLength, done.RamTotal);
        Assert.InRange(done.RamTransferred, done.RamTotal, long.MaxValue);
    }

    [Fact]
    public void A_machine_that_writes_little_is_stopped_after_the_first_pass()
    {
        using RunningMachine source = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld, writers: 0));
        using RunningMachine destination = new();
        Assert.Equal(2, Migrate(source, destination, Anywhere("tcp")).Live!.Iterations);
    }

    [Fact]
    public void A_machine_that_writes_too_fast_is_slowed_until_it_converges()
    {
        using RunningMachine source = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld) { Pause = TimeSpan.Zero });
        using RunningMachine destination = new();
        for (int page = 0; page < source.Machine.WorkingSet; page++)
        {
            source.Machine.WritePage(0, (ulong)page, 1);
        }

        Migrate(
            source,
            destination,
            Anywhere("tcp"),
            options => options
                .With(MigrationParameters.AutoConverge, true)
                .With(MigrationParameters.CpuThrottleIncrement, 30)
                .With(MigrationParameters.MaxBandwidth, 8UL << 20)
                .With(MigrationParameters.DowntimeLimit, TimeSpan.FromMilliseconds(40)));
        List<int> asked = source.Machine.Throttles;
        Assert.Equal((20, 0), (asked[0], asked[^1]));
        Assert.Equal(asked[..^1].Order(), asked[..^1]);
        Assert.Equal(0, source.Process.Query().Live!.ThrottlePercentage);
    }

    [Fact]
    public async Task A_machine_that_does_not_run_is_not_sent()
    {
        using RunningMachine source = new();
        MigrationException refused = await Assert.ThrowsAsync<MigrationException>(() => source.Send(Anywhere("tcp")));
        Assert.Equal(FailureReason.Policy, refused.Reason);
    }

    [Fact]
    public async Task A_pause_before_the_switchover_lasts_until_it_is_continued()
    {
        using RunningMachine source = new();
        using RunningMachine destination = new();
        source.Start();
        MigrationUri uri = destination.Listen(Anywhere("tcp"));
        await Assert.ThrowsAsync<MigrationException>(source.Process.ContinueAsync);
        destination.Machine.Predecessor = source.Machine;
        await source.Send(uri, options => options.With(MigrationParameters.PauseBeforeSwitchover, true));
        source.Until(info => info.Status is MigrationStatus.PreSwitchover);
        Assert.False(source.Machine.IsRunning);
        Assert.False(destination.Machine.IsRunning);
        await source.Process.ContinueAsync();
        AssertMoved(source, destination);
    }

    /// <summary>Its stream is like any other's: a file keeps it, and a process that has such a machine takes it from there.</summary>
    [Fact]
    public void A_machine_that_was_saved_while_it_ran_runs_on_out_of_the_file()
    {
        using RunningMachine source = new();
        LockedDevice.AddTo(source.Machine).Value = 5;
        using RunningDestination file = new(options => options with { Uri = Anywhere("tcp") });
        source.Start();
        source.Send(file.Process.Uri!);
        MigrationInfo sent = source.Ended();
        Assert.True(sent.Status is MigrationStatus.Completed, $"{sent}");
        Assert.Equal((MigrationStatus.Completed, "writing-1"), (file.Ended().Status, file.Process.Query().Machine));
        file.Settle();
        using FileBytes bytes = new(file.File);
        StreamReport report = StreamInspector.Inspect(bytes, ParameterSet.Defaults.ForStream(ramIsFresh: true));
        Assert.Equal(["counter", "counter", "locked"], report.Devices.Select(device => device.Name));

        using RunningMachine destination = new();
        LockedDevice locked = LockedDevice.AddTo(destination.Machine);
        destination.Machine.Predecessor = source.Machine;
        destination.Listen(new FileUri(file.File));
        MigrationInfo received = destination.Ended();
        Assert.True(received.Status is MigrationStatus.Completed, $"{received}");
        Assert.True(destination.Machine.IsRunning);
        Assert.Equal(5UL, locked.Value);
        destination.OnMain(destination.Machine.Stop);
    }

    [Fact]
    public void Trace_points_have_QEMUs_names_and_arguments_and_come_in_order()
    {
        using EndedActivities ended = new();
        using RunningMachine source = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld, writers: 0));
        using RunningMachine destination = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld, writers: 0));
        LockedDevice.AddTo(source.Machine);
        LockedDevice.AddTo(destination.Machine);
        Migrate(source, destination, Anywhere("tcp"));
        Assert.Equal(
            [
                "migration_thread_setup_complete", "migration_bitmap_sync_end", "migrate_transferred", "migration_thread_low_pending", "src-downtime-start",
                "src-vm-stopped", "device", "src-iterable-saved", "src-non-iterable-saved", "src-downtime-end",
            ],
            EventsOf("mig/src/main"));
        Assert.Equal(
            [
                "OPEN_RETURN_PATH", "PING", "ram", "PING", "counter", "counter", "PACKAGED", "loadvm_handle_cmd_packaged",
                "loadvm_handle_cmd_packaged_received", "locked", "loadvm_handle_cmd_packaged_main", "dst-precopy-loadvm-completed",
                "process_incoming_migration_end", "dst-precopy-bh-enter", "dst-precopy-bh-vm-started",
            ],
            EventsOf("mig/dst/main"));
        Assert.Equal(["com=PACKAGED", "len=4"], ended.Arguments("mig/dst/main", "loadvm_process_command"));
        Assert.Equal(["section_id=4", "idstr=locked", "instance_id=0", "version_id=0"], ended.Arguments("mig/dst/main", "qemu_loadvm_state_section_startfull"));
        Assert.Equal(["length=333"], ended.Arguments("mig/dst/main", "loadvm_handle_cmd_packaged"));
        Assert.Equal(["ret=333"], ended.Arguments("mig/dst/main", "loadvm_handle_cmd_packaged_received"));
        Assert.Equal(["ret=0"], ended.Arguments("mig/dst/main", "loadvm_handle_cmd_packaged_main"));

        Assert.Equal(["ret=0", "postcopy-state=none"], ended.Arguments("mig/dst/main", "process_incoming_migration_end"));
        string[] sent = ended.Arguments("mig/src/main", "migrate_transferred");
        Assert.Collection(
            sent,
            argument => Assert.Matches("^transferred=[1-9][0-9]*$", argument),
            argument => Assert.Matches("^time_spent=[0-9]+$", argument),
            argument => Assert.Matches("^bandwidth=[1-9][0-9]*$", argument),
            argument => Assert.Matches("^max_size=[1-9][0-9]*$", argument));

        IEnumerable<string> EventsOf(string thread) => ended.Last(thread).Events
            .Select(e => e.Name is "migrate_set_state" or "vmstate_downtime_checkpoint" ? (string)e.Tags.Single().Value!
                : e.Name is "loadvm_process_command" or "qemu_loadvm_state_section_startfull" ? (string)e.Tags.Single(tag => tag.Key is "com" or "idstr").Value!
                : e.Name)
            .Where(name => name is not "active" and not "completed");
    }

    [Fact]
    public void A_load_that_fails_has_its_trace_point_too()
    {
        using EndedActivities ended = new();
        using RunningDestination destination = new(options => options with { Uri = Anywhere("tcp") });
        using (Socket source = new(SocketType.Stream, ProtocolType.Tcp))
        {
            source.Connect(destination.EndPoint);
            source.Send(StreamedMachine.Announcement(returnPath: false));
        }

        Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
        Assert.Equal(["ret=-1", "postcopy-state=none"], ended.Arguments("mig/dst/main", "process_incoming_migration_end"));
    }

    [Fact]
    public void Metrics_count_a_migration_that_has_ended()
    {
        using SeenMetrics seen = new("RdmaMigration.Engine");
        using RunningMachine source = new();
        using RunningMachine destination = new();
        Migrate(source, destination, Anywhere("unix"));
        seen.AssertHas(
            "rdmamig_migrations side=source status=completed",
            "rdmamig_migrations side=destination status=completed",
            "rdmamig_pages side=source kind=normal",
            "rdmamig_pages side=source kind=duplicate",
            "rdmamig_ram_bytes side=source",
            "rdmamig_iterations",
            "rdmamig_downtime_seconds",
            "rdmamig_total_time_seconds side=source",
            "rdmamig_dirty_pages_rate");
    }

    internal static MigrationUri Anywhere(string kind) => kind switch
    {
        "tcp" => new TcpUri("127.0.0.1", 0),
        _ => new UnixUri(Path.Combine(Path.GetTempPath(), $"rdmamig-{Guid.NewGuid():N}.sock")),
    };

    /// <summary>Migrates from one to the other, to the end.</summary>
    internal static MigrationInfo Migrate(
        RunningMachine source, RunningMachine destination, MigrationUri where, Func<OutgoingOptions, OutgoingOptions>? configure = null)
    {
        MigrationUri uri = destination.Listen(where);
        if (!source.Machine.IsRunning)
        {
            source.Start();
        }

        destination.Machine.Predecessor = source.Machine;
        source.Send(uri, configure).GetAwaiter().GetResult();
        return AssertMoved(source, destination);
    }

    /// <summary>Both migrations have completed, and the machine runs at the destination, and there alone. It has compared itself when it started.</summary>
    private static MigrationInfo AssertMoved(RunningMachine source, RunningMachine destination)
    {
        MigrationInfo done = source.Ended();
        Assert.True(done.Status is MigrationStatus.Completed, $"{done}");
        MigrationInfo received = destination.Ended();
        Assert.True(received.Status is MigrationStatus.Completed, $"{received}");
        source.Settle();
        destination.Settle();
        Assert.Equal((false, true), (source.Machine.IsRunning, destination.Machine.IsRunning));
        return done;
    }

    private sealed class FileBytes(string path) : IStreamSource, IDisposable
    {
        private readonly FileStream _file = File.OpenRead(path);

        public int Read(Span<byte> buffer) => _file.Read(buffer);

        public void Dispose() => _file.Dispose();
    }
}
