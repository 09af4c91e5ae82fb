using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>The outgoing side when all goes well, and what it claims then.</summary>
public sealed class OutgoingMigrationTests
{
    private static readonly byte[] s_success = [0, 1, 0, 4, 0, 0, 0, 0];

    [Fact]
    public void SHUT_0_on_the_return_path_is_a_confirmed_success()
    {
        ScriptedDestination destination = new(returnPath: true) { LastWords = [0, 2, 0, 4, 0, 0, 0, 1, .. s_success] };
        using RunningSource source = new(destination);
        source.Send();

        MigrationStatus[] passed = [source.Next().Status, source.Next().Status, source.Next().Status];
        MigrationInfo completed = source.Next();

        Assert.Equal([MigrationStatus.Setup, MigrationStatus.Active, MigrationStatus.Device], passed);
        Assert.Equal((MigrationStatus.Completed, true, true), (completed.Status, completed.Confirmed, completed.ReturnPath));
        Assert.Null(completed.ErrorDescription);
        Assert.True(destination.Taken.AsSpan().StartsWith(StreamedMachine.Opening(returnPath: true)));
        Assert.Equal((1, 0), (destination.Disposals, destination.ErrorsTold));
    }

    [Fact]
    public void Without_a_return_path_it_is_completed_and_not_confirmed()
    {
        ScriptedDestination destination = new();
        using RunningSource source = new(destination);

        MigrationInfo completed = source.SendToEnd();

        Assert.Equal((MigrationStatus.Completed, false, false), (completed.Status, completed.Confirmed, completed.ReturnPath));
        Assert.True(destination.Taken.AsSpan().StartsWith(StreamedMachine.Opening(returnPath: false)));
    }

    [Fact]
    public void An_exit_code_or_a_disk_confirms()
    {
        using RunningSource source = new(new ScriptedDestination { Confirms = true });
        MigrationInfo completed = source.SendToEnd();
        Assert.Equal((MigrationStatus.Completed, true, false), (completed.Status, completed.Confirmed, completed.ReturnPath));
    }

    [Fact]
    public void The_figures_are_those_of_the_machine()
    {
        using RunningSource source = new(new ScriptedDestination());
        MigrationInfo completed = source.SendToEnd();
        Assert.Equal((true, StreamedMachine.Machine, RamMode.Stream), (completed.IsOutgoing, completed.Machine, completed.Mode));
        Assert.Equal((StreamedMachine.RamSize, StreamedMachine.RamSize), ((int)completed.RamTotal, (int)completed.RamTransferred));
        Assert.Equal(StreamedMachine.RamSize / 2, completed.RamZero);
        Assert.Equal((new FileInfo(source.File).Length, completed.FileBytes), (completed.LoadedBytes, completed.FileBytes));
        Assert.Equal((source.File, "unix:scripted", "the script"), (completed.File, completed.Uri, completed.Peer));
        Assert.InRange(completed.SetupTime, TimeSpan.FromTicks(1), completed.TotalTime);
    }

    [Fact]
    public void The_first_transitions_load_time_is_the_migrations_and_not_the_hosts()
    {
        long start = Stopwatch.GetTimestamp();
        using RunningSource source = new(new ScriptedDestination());
        source.Send();
        MigrationInfo setup = source.Next();
        Assert.Equal(MigrationStatus.Setup, setup.Status);
        Assert.InRange(setup.LoadTime, TimeSpan.Zero, Stopwatch.GetElapsedTime(start));
    }

    [Fact]
    public void A_machine_sent_to_a_file_can_be_sent_on_and_is_the_same()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("rdmamig-test-");
        string first = Path.Combine(directory.FullName, "first");
        string second = Path.Combine(directory.FullName, "second");
        using RunningSource source = new();
        Assert.True(source.SendToEnd(options => options with { Uri = new FileUri(first) }).Confirmed);
        source.Settle();
        Assert.True(source.SendToEnd(options => options with { Uri = new FileUri(second) }, path: first).Confirmed);
        Assert.Equal(File.ReadAllBytes(first), File.ReadAllBytes(second));
        directory.Delete(recursive: true);
    }

    [Fact]
    public void SHUT_0_before_the_end_of_RAM_is_a_protocol_error()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAfter = 1000 };
        using RunningSource source = new(destination);
        source.Send();
        destination.AwaitStandstill();
        destination.Say(s_success);
        MigrationInfo failed = source.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Protocol), (failed.Status, failed.ErrorClass));
        Assert.Contains("before device state was sent", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void SHUT_1_during_RAM_ends_a_blocked_sender_with_the_destinations_error()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAfter = 1_000_000 };
        using RunningSource source = new(destination);
        source.Send();
        destination.AwaitStandstill();
        destination.Say(0, 1, 0, 4, 0, 0, 0, 1);
        MigrationInfo failed = source.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Refused), (failed.Status, failed.ErrorClass));
        Assert.Matches($"^the destination the script .* after [0-9]+ of {StreamedMachine.RamSize} bytes of RAM \\(SHUT 1\\); .*log", failed.ErrorDescription);
    }

    [Fact]
    public void A_refusal_names_RAM_below_one_mebibyte_in_kibibytes()
    {
        string file = Path.GetTempFileName();
        File.WriteAllBytes(file, StreamBuilder.SmallMachine());
        using RunningSource source = new(new ScriptedDestination(returnPath: true) { LastWords = [0, 1, 0, 4, 0, 0, 0, 1] });
        Assert.Contains("a RAM size other than 16 KiB ('a')", source.SendToEnd(path: file).ErrorDescription, StringComparison.Ordinal);
        File.Delete(file);
    }

    [Fact]
    public void A_broken_return_path_is_the_reason_and_not_the_shutdown_after_it()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAfter = 1_000_000 };
        using RunningSource source = new(destination);
        source.Send();
        destination.AwaitStandstill();
        destination.BreakReturnPath(new ControlProtocolException("return path: not QEMU_FILE"));
        MigrationInfo failed = source.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Protocol), (failed.Status, failed.ErrorClass));
        Assert.Equal("return path: not QEMU_FILE", failed.ErrorDescription);
    }

    [Fact]
    public void A_destination_that_gives_up_on_the_return_path_amid_RAM_has_gone()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAfter = 1_000_000 };
        using RunningSource source = new(destination);
        source.Send();
        destination.AwaitStandstill();
        destination.BreakReturnPath(new ConnectionLostException(ConnectionLoss.PeerError, "it sent ERROR", Stopwatch.GetTimestamp()));
        MigrationInfo failed = source.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Disconnected), (failed.Status, failed.ErrorClass));
        Assert.Contains("bytes of RAM", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failure_is_told_to_the_destination_once_and_the_error_stays()
    {
        ScriptedDestination destination = new() { StopsAfter = 1_000_000 };
        using RunningSource source = new(destination);
        MigrationInfo failed = source.SendToEnd(options => options.With(MigrationParameters.Timeout, TimeSpan.FromMilliseconds(50)));
        source.Settle();
        Assert.Equal((1, 1), (destination.Disposals, destination.ErrorsTold));
        Assert.Equal((MigrationStatus.Failed, failed.ErrorDescription), (source.Process.Query().Status, source.Process.Query().ErrorDescription));
    }

    [Fact]
    public async Task A_second_migrate_while_one_runs_fails_for_its_caller_alone()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAtFinish = true, LastWords = s_success };
        using RunningSource source = new(destination);
        source.Send();
        await source.Sending!;
        destination.AwaitStandstill();
        source.Send();
        MigrationException refused = await Assert.ThrowsAsync<MigrationException>(() => source.Sending);
        Assert.Equal(FailureReason.Policy, refused.Reason);
        destination.GoOn();
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
        source.Settle();
        Assert.Equal(1, destination.Disposals);
    }

    [Fact]
    public async Task A_migrate_of_a_process_that_ends_fails_for_its_caller()
    {
        MainLoop loop = new();
        using MachineProcess process = new(loop, (_, _) => throw new InvalidOperationException(), NullLogger.Instance);
        process.Quit();
        Task begin = process.MigrateAsync("capture", new OutgoingOptions { Uri = new UnixUri("scripted") });
        loop.Run();
        Assert.Equal(FailureReason.Cancelled, (await Assert.ThrowsAsync<MigrationException>(() => begin)).Reason);
    }

    [Fact]
    public async Task A_source_that_sends_its_machine_while_the_process_sends_one_is_served_next()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAtFinish = true, LastWords = s_success };
        using RelayedMachine incoming = new(_ => destination, toFile: true);
        string file = Path.GetTempFileName();
        await File.WriteAllBytesAsync(file, StreamedMachine.All(), TestContext.Current.CancellationToken);
        incoming.SendAll();
        incoming.CloseSource();
        Assert.Equal((MigrationStatus.Completed, false), (incoming.Relay.Ended().Status, incoming.Relay.Process.Query().IsOutgoing));
        incoming.Relay.Settle();

        await incoming.Relay.Process.MigrateAsync(file, new OutgoingOptions { Uri = new UnixUri("scripted") });
        destination.AwaitStandstill();
        incoming.SendAnother();
        destination.GoOn();
        MigrationInfo sent = incoming.Relay.Ended();
        Assert.Equal((MigrationStatus.Completed, true), (sent.Status, sent.IsOutgoing));
        Assert.Equal((MigrationStatus.Completed, false), (incoming.Relay.Ended().Status, incoming.Relay.Process.Query().IsOutgoing));
        incoming.NextOneWorks();
        File.Delete(file);
    }

    [Fact]
    public async Task Queries_while_machines_are_sent_and_torn_down_always_answer()
    {
        using RunningSource source = new(_ => new ScriptedDestination(returnPath: true) { LastWords = s_success });
        using CancellationTokenSource done = new();
        Task queries = Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                MigrationInfo info = source.Process.Query();
                Assert.InRange(info.RamTransferred, 0, info.RamTotal);
            }
        });
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(MigrationStatus.Completed, source.SendToEnd().Status);
            source.Settle();
        }

        await done.CancelAsync();
        await queries;
    }
}
