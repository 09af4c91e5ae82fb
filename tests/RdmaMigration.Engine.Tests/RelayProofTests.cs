using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>What a relay tells a source when a destination cannot prove that it has the machine, and that no machine runs twice.</summary>
public sealed class RelayProofTests
{
    private static readonly byte[] s_success = [0, 1, 0, 4, 0, 0, 0, 0];
    private static readonly byte[] s_failure = [0, 1, 0, 4, 0, 0, 0, 1];
    private static readonly byte[] s_pong = [0, 2, 0, 4, 0, 0, 0, 1];

    [Fact]
    public void Relay_refuses_a_return_path_source_when_the_destination_cannot_confirm()
    {
        ScriptedDestination destination = new();
        using RelayedMachine machine = new(destination);
        machine.Send(StreamedMachine.Announcement(returnPath: true));
        Assert.Equal(s_pong, machine.Told());
        Assert.Equal(s_failure, machine.Told());
        MigrationInfo failed = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Policy, 0L), (failed.Status, failed.ErrorClass, failed.RamTotal));
        Assert.All(
            (string[])["the destination the script", "return-path on", "--return-path", "--rescue"],
            part => Assert.Contains(part, failed.ErrorDescription, StringComparison.Ordinal));
        machine.Relay.Settle();
        Assert.Empty(destination.Taken);
        Assert.Equal((1, 1), (destination.Disposals, destination.ErrorsTold));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_machine_relayed_without_proof_is_kept_before_the_source_is_told(bool returnPath)
    {
        string kept = Path.GetTempFileName();
        ScriptedDestination destination = new();
        using (RelayedMachine machine = new(destination, rescue: true))
        {
            machine.SendAll(returnPath);
            Assert.Equal(returnPath ? s_pong : null, machine.Told());
            Assert.Equal(returnPath ? s_success : null, machine.Told());
            MigrationInfo completed = machine.Relay.Ended();
            Assert.Equal((MigrationStatus.Completed, false, machine.Relay.File), (completed.Status, completed.Confirmed, completed.File));
            File.Copy(completed.File!, kept, overwrite: true);
        }

        ScriptedDestination again = new();
        using RunningSource source = new(again);
        Assert.Equal(MigrationStatus.Completed, source.SendToEnd(path: kept).Status);
        Assert.Equal(destination.Taken, again.Taken);
        File.Delete(kept);
    }

    [Fact]
    public void Nothing_is_kept_for_a_source_without_return_path_and_nothing_confirmed()
    {
        using RelayedMachine machine = new(new ScriptedDestination());
        machine.SendAll();
        MigrationInfo completed = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Completed, false, null), (completed.Status, completed.Confirmed, completed.File));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_machine_neither_proved_nor_kept_is_a_failure_that_the_source_is_told(bool returnPath)
    {
        ScriptedDestination destination = new() { StopsAtFinish = true };
        RelayedMachine machine = new(destination, rescue: true);
        machine.SendAll(returnPath);
        destination.AwaitStandstill();
        Directory.Delete(machine.Relay.DirectoryName);
        destination.GoOn();
        Assert.Equal(returnPath ? s_pong : null, machine.Told());
        Assert.Equal(returnPath ? s_failure : null, machine.Told());
        MigrationInfo failed = machine.Relay.Ended();
        Directory.CreateDirectory(machine.Relay.DirectoryName);
        machine.Dispose();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Storage), (failed.Status, failed.ErrorClass));
        Assert.Contains("the script, but it did not confirm", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Equal(returnPath, failed.ErrorDescription!.EndsWith("keeps its machine", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Destination_does_not_start_when_the_source_disconnects_early(bool rescue)
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAfter = 1_000_000 };
        using RelayedMachine machine = new(destination, rescue);
        machine.SendAll(returnPath: true);
        Assert.Equal(s_pong, machine.Told());
        destination.AwaitStandstill();

        machine.CloseSource();

        MigrationInfo failed = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Disconnected), (failed.Status, failed.ErrorClass));
        Assert.StartsWith("the source disconnected", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("the destination the script ", failed.ErrorDescription, StringComparison.Ordinal);
        machine.Relay.Settle();
        Assert.Equal((1, 1), (destination.Disposals, destination.ErrorsTold));
        Assert.Equal(rescue ? machine.Relay.File : null, failed.File);
        Assert.Contains(rescue ? "'rdmamig send'" : "--rescue", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void Device_state_is_withheld_when_the_source_is_gone_after_RAM()
    {
        string file = Path.GetTempFileName();
        File.WriteAllBytes(file, StreamedMachine.All());
        using CapturedMachine captured = new(ulong.MaxValue);
        using CaptureLoad load = new(file, ParameterSet.Defaults, captured, CancellationToken.None);
        CapturedStream machine = load.Load();
        File.Delete(file);
        ScriptedDestination destination = new(returnPath: true);
        RelayTarget target = new(new OutgoingOptions { Uri = new UnixUri("scripted") });
        using MigrationContext context = new(new MainLoop(), NullLogger.Instance);
        using GoingSource channel = new();
        IncomingSource source = new(channel);
        source.OpenReturnPath(TimeSpan.Zero, TimeSpan.Zero);

        // Nobody looks every second: the main loop does not run. Only what the relay asks at its steps counts.
        context.State.Changed = info => channel.IsGone |= info.Status is MigrationStatus.Active;
        context.State.GoTo(MigrationStatus.Setup);
        using MachineRelay relay = new(target, new Delivery(target.Outgoing, (_, _) => destination, context), context, source, sourceFile: null);
        relay.Announce(machine.Configuration);
        Assert.Throws<SourceGoneException>(() => relay.Take(captured));
        Assert.InRange(destination.Taken.Length, StreamedMachine.RamSize / 2, StreamedMachine.All().Length);
        Assert.Equal(-1, destination.Taken.AsSpan().IndexOf("\u0005timer"u8));
    }

    [Fact]
    public void A_source_that_is_not_told_anything_may_close_behind_its_last_byte()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAtFinish = true, LastWords = s_success };
        using RelayedMachine machine = new(destination);
        machine.SendAll();
        machine.CloseSource();
        destination.AwaitStandstill();
        destination.GoOn();
        MigrationInfo completed = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Completed, true), (completed.Status, completed.Confirmed));
    }

    [Fact]
    public void A_source_that_closes_its_direction_is_told_if_it_still_listens()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAfter = 1_000_000, LastWords = s_success };
        using RelayedMachine machine = new(destination);
        machine.SendAll(returnPath: true);
        machine.CloseDirection();
        destination.AwaitStandstill();
        for (int asked = 0; asked < 10; asked++)
        {
            Assert.Equal(s_pong, machine.Told());
        }

        destination.GoOn();
        byte[]? told;
        while ((told = machine.Told()) is [0, 2, ..])
        {
        }

        Assert.Equal(s_success, told);
        Assert.Equal(MigrationStatus.Completed, machine.Relay.Ended().Status);
    }

    [Fact]
    public void A_cancel_after_the_destination_confirmed_is_too_late()
    {
        ScriptedDestination? destination = null;
        destination = new(returnPath: true) { OnShutdown = () => destination!.Say(s_success) };
        using RelayedMachine machine = new(destination, rescue: true);
        machine.SendAll(returnPath: true);
        Assert.Equal(s_pong, machine.Told());
        destination.AwaitStandstill();
        machine.Relay.Process.Cancel();
        Assert.Equal(s_success, machine.Told());
        MigrationInfo completed = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Completed, true, null), (completed.Status, completed.Confirmed, completed.File));
    }

    [Fact]
    public void A_cancel_that_comes_in_time_is_told_to_the_source()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAfter = 1_000_000 };
        using RelayedMachine machine = new(destination);
        machine.SendAll(returnPath: true);
        Assert.Equal(s_pong, machine.Told());
        destination.AwaitStandstill();
        machine.Relay.Process.Cancel();
        Assert.Equal(s_failure, machine.Told());
        Assert.Equal(MigrationStatus.Cancelled, machine.Relay.Ended().Status);
    }

    /// <summary>A source with a return path, which goes away when a test says so.</summary>
    private sealed class GoingSource : IncomingChannel
    {
        public bool IsGone { get; set; }

        public override string Peer => "the source";

        public override string Device => "script";

        public override ConnectionLostException? Lost => IsGone ? new ConnectionLostException(ConnectionLoss.Disconnected, "the source disconnected", 0) : null;

        public override ChannelInput Input => throw new NotSupportedException();

        public override ChannelOutput Output { get; } = new Nowhere();

        public override void Shutdown(string reason)
        {
        }

        public override void Dispose()
        {
        }

        private sealed class Nowhere : ChannelOutput
        {
            protected override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience) => throw new NotSupportedException();
        }
    }
}
