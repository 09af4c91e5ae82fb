using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A machine that stays in the memory of a process, and is sent on from there.</summary>
public sealed class KeptMachineTests : IDisposable
{
    /// <summary>Half a MiB of RAM is sent at once and the rest takes four seconds, so that what is to happen amid RAM does.</summary>
    private const ulong Bandwidth = 1 << 19;

    private static readonly byte[] s_failure = [0, 1, 0, 4, 0, 0, 0, 1];
    private static readonly byte[] s_success = [0, 1, 0, 4, 0, 0, 0, 0];

    /// <summary>How a send fails.</summary>
    public enum Failing
    {
        NobodyListens,
        SourceCancelsDuringRam,
        DestinationCancelsDuringRam,
        TakesTooLong,
        DestinationRefusesTheWhole,
        SourceCancelsAfterTheWhole,
    }

    public static TheoryData<Failing> Failings => [.. Enum.GetValues<Failing>()];

    /// <summary>Nothing is left of any process.</summary>
    public void Dispose() => Assert.True(
        SpinWait.SpinUntil(
            () => ProcessFootprint.Of(Environment.ProcessId) is { MigrationThreads: 0, RamMappings: 0 } && !KeepingProcess.FilesOfMachines.Any(),
            TimeSpan.FromSeconds(5)),
        $"{ProcessFootprint.Of(Environment.ProcessId)} {string.Join(' ', KeepingProcess.FilesOfMachines)}");

    [Fact]
    public void A_machine_that_arrives_is_kept_whole_and_the_process_lives_on_without_listening()
    {
        using KeepingProcess process = new();
        process.Listen();
        System.Net.IPEndPoint listened = process.Process.LocalEndPoint!;
        MigrationInfo arrived = process.Take(ScatteredMachine.Stream());

        Assert.Equal((MigrationStatus.Completed, false, null), (arrived.Status, arrived.IsOutgoing, arrived.File));
        Assert.Equal((ScatteredMachine.Type, ScatteredMachine.RamLength), (arrived.Machine, (int)arrived.RamTotal));
        Assert.False(process.Process.IsListening);
        using Socket late = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Assert.Throws<SocketException>(() => late.Connect(listened));
        ScatteredMachine.AssertWhole(process.Kept);
    }

    [Theory]
    [InlineData("tcp")]
    [InlineData("unix")]
    public void A_kept_machine_is_sent_on_and_from_there_on_again(string kind)
    {
        using KeepingProcess first = KeepingProcess.WithMachine();
        using KeepingProcess second = new();
        using KeepingProcess third = new();

        MigrationInfo sent = first.SendTo(second, LiveMigrationTests.Anywhere(kind));
        second.SendTo(third, LiveMigrationTests.Anywhere(kind));

        Assert.Equal((true, true, null), (sent.IsOutgoing, sent.Confirmed, sent.File));
        Assert.Equal((TimeSpan.Zero, 0, 0), (sent.LoadTime, sent.LoadedBytes, sent.FileBytes));
        Assert.Equal((ScatteredMachine.Type, ScatteredMachine.RamLength), (sent.Machine, (int)sent.RamTotal));
        Assert.Equal(ScatteredMachine.RamLength, (int)sent.RamTransferred);
        Assert.InRange(sent.RamZero, 1, sent.RamTotal - 1);
    }

    [Theory]
    [MemberData(nameof(Failings))]
    public void After_a_send_that_failed_the_machine_arrives_whole_the_next_two_times(Failing how)
    {
        ScriptedDestination script = new(returnPath: true) { LastWords = how is Failing.DestinationRefusesTheWhole ? s_failure : null };
        using KeepingProcess source = KeepingProcess.WithMachine(script);
        using KeepingProcess destination = new();

        Assert.NotEqual(MigrationStatus.Completed, SendInVain(source, destination, script, how).Status);

        source.Settle();
        destination.Settle();
        ScatteredMachine.AssertWhole(source.Kept);
        Assert.Null(destination.Kept);
        source.SendTo(destination);
        destination.Drop();
        source.SendTo(destination);
    }

    [Fact]
    public void A_kept_machine_that_is_saved_is_the_capture_that_a_saver_writes()
    {
        using RunningDestination saver = new(options => options with { Uri = new TcpUri("127.0.0.1", 0) });
        using KeepingProcess process = KeepingProcess.WithMachine();

        Assert.True(process.SendToEnd(new FileUri(process.File)).Confirmed);
        process.SendToEnd(saver.Process.Uri!);

        Assert.Equal(MigrationStatus.Completed, saver.Ended().Status);
        Assert.Equal(File.ReadAllBytes(saver.File), File.ReadAllBytes(process.File));
        using RunningDestination direct = new(options => options with { Uri = new FileUri(process.File) });
        Assert.Equal(MigrationStatus.Completed, direct.Ended().Status);
        Assert.Equal(File.ReadAllBytes(direct.File), File.ReadAllBytes(process.File));
        ScatteredMachine.AssertWhole(process.Kept);
    }

    [Fact]
    public void A_second_machine_is_refused_while_one_is_kept()
    {
        using KeepingProcess process = KeepingProcess.WithMachine();
        Assert.Equal(FailureReason.Policy, Assert.Throws<MigrationException>(() => process.Listen()).Reason);
        Assert.False(process.Process.IsListening);
        ScatteredMachine.AssertWhole(process.Kept);

        process.Drop();
        Assert.Null(process.Kept);
        process.Listen();
        Assert.Equal(MigrationStatus.Completed, process.Take(ScatteredMachine.Stream()).Status);
        ScatteredMachine.AssertWhole(process.Kept);
    }

    [Fact]
    public void An_attempt_that_failed_keeps_nothing_and_leaves_the_port_open_for_the_next_source()
    {
        using KeepingProcess process = new();
        process.Listen();
        byte[] stream = ScatteredMachine.Stream();
        foreach (int sent in (int[])[40, 1_000_000, stream.Length - 1])
        {
            Assert.Equal(MigrationStatus.Failed, process.Take(stream.AsSpan(0, sent)).Status);
            Assert.Equal((true, null), (process.Process.IsListening, process.Kept));
            Assert.Empty(KeepingProcess.FilesOfMachines);
        }

        Assert.Equal(MigrationStatus.Completed, process.Take(stream).Status);
        ScatteredMachine.AssertWhole(process.Kept);
    }

    [Fact]
    public void A_machine_out_of_a_file_is_kept_and_the_process_lives_on()
    {
        using KeepingProcess process = new();
        File.WriteAllBytes(process.File, ScatteredMachine.Stream());
        process.Listen(new FileUri(process.File));
        Assert.Equal(MigrationStatus.Completed, process.Ended().Status);
        process.Settle();
        ScatteredMachine.AssertWhole(process.Kept);
    }

    [Fact]
    public void Drop_frees_RAM_and_device_state_and_needs_a_machine()
    {
        const int DeviceBytes = 3 << 20;
        using KeepingProcess process = new();
        process.Listen(configure: options => options.With(MigrationParameters.DeviceStateInMemory, 1UL << 20));
        Assert.Equal(MigrationStatus.Completed, process.Take(ScatteredMachine.Stream(DeviceBytes)).Status);
        ScatteredMachine.AssertWhole(process.Kept, DeviceBytes);
        Assert.Equal(2, ProcessFootprint.Of(Environment.ProcessId).RamMappings);
        Assert.Equal(3, KeepingProcess.FilesOfMachines.Count());

        process.Drop();

        Assert.Null(process.Kept);
        Assert.Equal(0, ProcessFootprint.Of(Environment.ProcessId).RamMappings);
        Assert.Empty(KeepingProcess.FilesOfMachines);
        Assert.Equal(FailureReason.Policy, Assert.Throws<MigrationException>(process.Drop).Reason);
        Assert.Equal(FailureReason.Policy, Assert.Throws<MigrationException>(() => process.Send(KeepingProcess.Scripted)).Reason);
    }

    [Fact]
    public void Drop_is_refused_while_the_machine_is_sent()
    {
        ScriptedDestination script = new() { StopsAfter = 1_000_000 };
        using KeepingProcess process = KeepingProcess.WithMachine(script);
        process.Send(KeepingProcess.Scripted);
        script.AwaitStandstill();

        Assert.Equal(FailureReason.Policy, Assert.Throws<MigrationException>(process.Drop).Reason);

        ScatteredMachine.AssertWhole(process.Kept);
        process.Process.Cancel();
        Assert.Equal(MigrationStatus.Cancelled, process.Ended().Status);
        process.Settle();
        process.Drop();
    }

    [Fact]
    public void On_the_main_thread_migrate_cancel_and_continue_act_at_once()
    {
        ScriptedDestination script = new() { StopsAfter = 1_000_000 };
        using KeepingProcess process = KeepingProcess.WithMachine(script);
        OutgoingOptions options = new() { Uri = KeepingProcess.Scripted };
        process.OnMain(() =>
        {
            process.Process.Migrate(options);
            Assert.True(process.Process.IsBusy);
            Assert.Equal(FailureReason.Policy, Assert.Throws<MigrationException>(() => process.Process.Migrate(options)).Reason);
            Assert.Equal(FailureReason.Policy, Assert.Throws<MigrationException>(process.Process.Continue).Reason);
        });
        script.AwaitStandstill();
        process.OnMain(() =>
        {
            process.Process.CancelAtOnce();
            Assert.Equal(MigrationStatus.Cancelling, process.Process.Query().Status);
        });
        Assert.Equal(MigrationStatus.Cancelled, process.Ended().Status);
    }

    [Fact]
    public void Quit_while_the_machine_is_sent_ends_the_process_and_the_machine()
    {
        ScriptedDestination script = new() { StopsAfter = 1_000_000 };
        using KeepingProcess process = KeepingProcess.WithMachine(script);
        process.Send(KeepingProcess.Scripted);
        script.AwaitStandstill();
        process.Process.Quit();
        process.AwaitEnd(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void Fifty_times_there_and_back_leave_nothing_behind()
    {
        using KeepingProcess one = KeepingProcess.WithMachine();
        using KeepingProcess other = new();
        ProcessFootprint before = GoThereAndBack(5);
        ProcessFootprint after = GoThereAndBack(50);
        SpinWait.SpinUntil(
            () => (after = ProcessFootprint.Of(Environment.ProcessId)).Files <= before.Files && after.MigrationThreads <= before.MigrationThreads,
            TimeSpan.FromSeconds(10));
        Assert.Equal((before.MigrationThreads, before.Files, before.RamMappings), (after.MigrationThreads, after.Files, after.RamMappings));

        // The thread pool varies; a thread that each migration leaves behind would be 100. Mappings other than RAM are the runtime's.
        Assert.InRange(after.Threads, 0, before.Threads + 6);

        ProcessFootprint GoThereAndBack(int times)
        {
            for (int i = 0; i < times; i++)
            {
                one.SendTo(other);
                one.Drop();
                other.SendTo(one);
                other.Drop();
            }

            return ProcessFootprint.Of(Environment.ProcessId);
        }
    }

    [Fact]
    public void A_machine_is_sent_with_another_run_state_and_keeps_its_own()
    {
        using KeepingProcess source = KeepingProcess.WithMachine();
        using KeepingProcess destination = new();
        OutgoingOptions options = new() { Uri = destination.Listen() };
        source.OnMain(() => source.Process.Migrate(options, "running"));
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        destination.Settle();
        Assert.Equal("running", destination.Kept!.RunState);
        Assert.Equal(source.Kept!.Content.DeviceState.Length, destination.Kept.Content.DeviceState.Length);
        ScatteredMachine.AssertWhole(source.Kept);
    }

    [Fact]
    public void A_machine_without_a_run_state_is_sent_only_as_it_came()
    {
        using KeepingProcess source = new();
        source.Listen();
        Assert.Equal(MigrationStatus.Completed, source.Take(StreamBuilder.SmallMachine()).Status);
        OutgoingOptions options = new() { Uri = KeepingProcess.Scripted };
        MigrationException refused = Assert.Throws<MigrationException>(() => source.OnMain(() => source.Process.Migrate(options, "paused")));
        Assert.Equal(FailureReason.Policy, refused.Reason);
    }

    [Fact]
    public void SHUT_0_while_migrate_continue_is_awaited_is_a_protocol_error()
    {
        ScriptedDestination script = new(returnPath: true);
        using KeepingProcess source = KeepingProcess.WithMachine(script);
        source.Send(KeepingProcess.Scripted, options => options.With(MigrationParameters.PauseBeforeSwitchover, true));
        source.Until(info => info.Status is MigrationStatus.PreSwitchover);
        script.Say(s_success);
        MigrationInfo failed = source.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Protocol, false), (failed.Status, failed.ErrorClass, failed.MayHaveArrived));
    }

    [Fact]
    public void Drop_and_the_next_listen_make_a_query_forget_the_last_migration()
    {
        using KeepingProcess process = KeepingProcess.WithMachine();
        Assert.Equal(MigrationStatus.Completed, process.Process.Query().Status);
        process.Drop();
        Assert.Equal(MigrationStatus.None, process.Process.Query().Status);
        process.Listen();
        Assert.Equal(MigrationStatus.Failed, process.Take(ScatteredMachine.Stream().AsSpan(0, 40)).Status);
        process.OnMain(process.Process.StopListening);
        Assert.Equal(MigrationStatus.Failed, process.Process.Query().Status);
        process.Listen();
        Assert.Equal(MigrationStatus.None, process.Process.Query().Status);
    }

    [Fact]
    public void A_process_that_quits_does_not_listen_any_more()
    {
        using KeepingProcess process = new();
        Exception? refused = null;
        process.OnMain(() =>
        {
            process.Process.Quit();
            process.Loop.Schedule(() => refused = Record.Exception(() =>
                process.Process.Listen(new IncomingOptions { Uri = new TcpUri("127.0.0.1", 0), Target = new KeepTarget() })));
        });
        process.AwaitEnd(TimeSpan.FromSeconds(5));
        Assert.Equal(FailureReason.Cancelled, Assert.IsType<MigrationException>(refused).Reason);
    }

    [Fact]
    public void A_new_bandwidth_applies_to_the_migration_that_runs()
    {
        using KeepingProcess source = KeepingProcess.WithMachine();
        using KeepingProcess destination = new();

        // All of RAM would take a minute.
        source.Send(destination.Listen(), options => options.With(MigrationParameters.MaxBandwidth, 1UL << 16));
        destination.AwaitPages();
        source.OnMain(() => source.Process.SetLimits(ParameterSet.Defaults));
        MigrationInfo sent = source.Ended();
        Assert.Equal(MigrationStatus.Completed, sent.Status);
        Assert.InRange(sent.TotalTime, TimeSpan.Zero, TimeSpan.FromSeconds(20));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    private static MigrationInfo SendInVain(KeepingProcess source, KeepingProcess destination, ScriptedDestination script, Failing how)
    {
        static OutgoingOptions Slow(OutgoingOptions options) => options.With(MigrationParameters.MaxBandwidth, Bandwidth);
        switch (how)
        {
            case Failing.NobodyListens:
                return source.SendToEnd(new TcpUri("127.0.0.1", 1));
            case Failing.SourceCancelsDuringRam:
                source.Send(destination.Listen(), Slow);
                destination.AwaitPages();
                source.Process.Cancel();
                break;
            case Failing.DestinationCancelsDuringRam:
                source.Send(destination.Listen(), Slow);
                destination.AwaitPages();
                destination.Process.Cancel();
                break;
            case Failing.TakesTooLong:
                source.Send(destination.Listen(), options => Slow(options).With(MigrationParameters.Timeout, TimeSpan.FromMilliseconds(300)));
                break;
            case Failing.DestinationRefusesTheWhole:
                return source.SendToEnd(KeepingProcess.Scripted);
            default:
                source.Send(KeepingProcess.Scripted);
                script.AwaitStandstill();
                source.Process.Cancel();
                return source.Ended();
        }

        MigrationInfo failed = source.Ended();
        Assert.NotEqual(MigrationStatus.Completed, destination.Ended().Status);
        return failed;
    }
}
