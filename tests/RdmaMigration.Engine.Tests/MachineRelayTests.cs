using System.Net;
using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A machine that is sent on: what the destination gets and when, what the source is told, and that nobody loses it.</summary>
public sealed class MachineRelayTests
{
    private static readonly byte[] s_success = [0, 1, 0, 4, 0, 0, 0, 0];
    private static readonly byte[] s_failure = [0, 1, 0, 4, 0, 0, 0, 1];

    /// <summary>Where a relay can be held.</summary>
    public enum Place
    {
        /// <summary>The destination does not take the connection.</summary>
        Connecting,

        /// <summary>The source has stopped amid RAM.</summary>
        Arriving,

        /// <summary>The destination takes no more of RAM.</summary>
        Sending,

        /// <summary>The destination has everything and says nothing.</summary>
        Confirming,
    }

    public static TheoryData<Place> Places => [.. Enum.GetValues<Place>()];

    [Fact]
    public void A_machine_that_RDMA_cannot_carry_is_refused_while_its_source_runs()
    {
        using RelayedMachine machine = new(_ => throw new InvalidOperationException("nobody connects"), to: new RdmaUri("10.0.0.1", 4444));
        machine.Send(new StreamBuilder().Header().Configuration("test").Subsection("configuration/capabilities").UInt32(1).Name("x-ignore-shared")
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).UInt64(StreamBuilder.Page | 4).Name("a").UInt64(StreamBuilder.Page).UInt64(0).Eos().ToArray());
        MigrationInfo refused = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Policy), (refused.Status, refused.ErrorClass));
    }

    [Fact]
    public void The_destination_gets_byte_for_byte_what_send_would_send_it()
    {
        byte[] sent = WhatIsSent();
        ScriptedDestination relayed = new(returnPath: true) { LastWords = s_success };
        using RelayedMachine machine = new(relayed);
        machine.SendAll();

        MigrationInfo completed = machine.Relay.Ended();

        Assert.Equal((MigrationStatus.Completed, true, false), (completed.Status, completed.Confirmed, completed.IsOutgoing));
        Assert.Equal(sent, relayed.Taken);
        Assert.Equal((1, 0), (relayed.Disposals, relayed.ErrorsTold));
        Assert.Empty(machine.Relay.LeftBehind);
    }

    // A source that waits when the relay ends has three seconds for its stream. They are not spent on the destination's connection.
    [Fact]
    public void The_last_source_is_served_however_long_the_destination_takes_to_connect()
    {
        int opened = 0;
        using RelayedMachine machine = new(_ =>
        {
            if (Interlocked.Increment(ref opened) == 2)
            {
                Thread.Sleep(TimeSpan.FromSeconds(4));
            }

            return new ScriptedDestination();
        });
        machine.Send(StreamedMachine.Announcement(returnPath: false));
        RelayedMachine.Await(() => Volatile.Read(ref opened) == 1, "the first machine does not come");
        using Socket last = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        last.Connect(machine.Relay.EndPoint);
        last.Send(StreamedMachine.All());
        last.Shutdown(SocketShutdown.Send);

        machine.Relay.Process.Quit();

        Assert.Equal(MigrationStatus.Cancelled, machine.Relay.Ended().Status);
        Assert.Equal(MigrationStatus.Completed, machine.Relay.Ended().Status);
    }

    [Fact]
    public void A_multifd_channel_is_ignored_once_the_machine_is_complete()
    {
        ScriptedDestination destination = new() { StopsAtFinish = true };
        using RelayedMachine machine = new(destination);
        machine.SendAll();
        destination.AwaitStandstill();
        using Socket late = Connect("127.0.0.1");
        late.Send([0x11, 0x22, 0x33, 0x44]);

        // One from another host is reset at once, so the first one has been seen by then, and what it led to has run behind it.
        using Socket stranger = Connect("127.0.0.2");
        stranger.Send([0x11, 0x22, 0x33, 0x44]);
        Assert.Throws<SocketException>(() => stranger.Receive(new byte[1]));
        using ManualResetEventSlim hasRun = new();
        machine.Relay.Loop.Schedule(hasRun.Set);
        hasRun.Wait(TestContext.Current.CancellationToken);
        Assert.False(late.Poll(0, SelectMode.SelectRead));
        destination.GoOn();

        Assert.Equal(MigrationStatus.Completed, machine.Relay.Ended().Status);

        Socket Connect(string own)
        {
            Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(own), 0));
            socket.Connect(machine.Relay.EndPoint);
            return socket;
        }
    }

    [Fact]
    public void Figures_cover_both_directions()
    {
        using RelayedMachine machine = new(new ScriptedDestination());
        machine.SendAll();
        MigrationInfo completed = machine.Relay.Ended();
        MigrationInfo way = completed.Destination!;
        Assert.Equal((StreamedMachine.Machine, StreamedMachine.RamSize), (completed.Machine, (int)completed.RamTransferred));
        Assert.Equal((StreamedMachine.RamSize, StreamedMachine.RamSize / 2), ((int)way.RamTransferred, (int)way.RamZero));
        Assert.Equal(("unix:scripted", "the script", RamMode.Stream, true), (way.Uri, way.Peer, way.Mode, way.IsOutgoing));
        Assert.Equal((false, false, null), (completed.Confirmed, way.ReturnPath, completed.File));
        Assert.True(way.TotalTime > TimeSpan.Zero);
    }

    [Fact]
    public void The_destination_knows_the_machine_type_before_the_source_has_sent_any_RAM()
    {
        byte[] announcement = StreamedMachine.Announcement(returnPath: false);
        int ram = announcement.AsSpan().IndexOf("\u0003ram"u8);
        ScriptedDestination destination = new();
        using RelayedMachine machine = new(destination);
        machine.Send(announcement);
        RelayedMachine.Await(() => machine.Relay.Process.Query().RamTotal > 0, "no RAM was announced");
        machine.Relay.Process.Cancel();
        machine.Relay.Ended();
        Assert.Equal(announcement[..(ram - 5)], destination.Taken);
    }

    [Fact]
    public void A_destination_that_is_not_there_fails_it_before_RAM_and_the_source_is_told()
    {
        using RelayedMachine machine = new(_ => throw new ConnectFailedException("nobody listens there"));
        machine.Send(StreamedMachine.Announcement(returnPath: true));
        Assert.Equal(2, machine.Told()![1]);
        Assert.Equal(s_failure, machine.Told());
        MigrationInfo failed = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Unreachable, 0L), (failed.Status, failed.ErrorClass, failed.RamTotal));
        Assert.Equal("nobody listens there", failed.ErrorDescription);
    }

    [Fact]
    public void Source_is_told_when_the_destination_dies_while_the_machine_arrives()
    {
        ScriptedDestination destination = new(returnPath: true);
        using RelayedMachine machine = new(destination);
        machine.Send(StreamedMachine.Announcement(returnPath: true));
        Assert.Equal(2, machine.Told()![1]);
        RelayedMachine.Await(() => machine.Relay.Process.Query().RamTotal > 0, "no RAM was announced");
        destination.Die();
        Assert.Equal(s_failure, machine.Told());
        MigrationInfo failed = machine.Relay.Ended();
        Assert.Equal(FailureReason.Disconnected, failed.ErrorClass);
        Assert.StartsWith("the destination the script ", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.Contains("before it took any RAM", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_is_not_relayed_into_itself()
    {
        using RunningDestination relay = new(options =>
        {
            string file = ((CaptureTarget)options.Target).File!;
            File.WriteAllBytes(file, StreamedMachine.All());
            File.CreateSymbolicLink(file + ".link", file);
            return options with { Uri = new FileUri(file), Target = new RelayTarget(new OutgoingOptions { Uri = new FileUri(file + ".link") }) };
        });
        MigrationInfo failed = relay.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Policy), (failed.Status, failed.ErrorClass));
        Assert.Equal(StreamedMachine.All(), File.ReadAllBytes(relay.File));
    }

    [Fact]
    public void The_source_hears_of_success_when_the_destination_has_said_it()
    {
        ScriptedDestination destination = new(returnPath: true);
        using RelayedMachine machine = new(destination);
        machine.SendAll(returnPath: true);
        Assert.Equal(2, machine.Told()![1]);
        destination.AwaitStandstill();
        Assert.False(machine.SourceHasHeardSomething);
        destination.Say(s_success);
        Assert.Equal(s_success, machine.Told());
        Assert.True(machine.Relay.Ended().Confirmed);
    }

    [Fact]
    public void A_destination_that_refuses_leaves_the_machine_to_a_source_that_can_be_told()
    {
        ScriptedDestination destination = new(returnPath: true) { LastWords = s_failure };
        using RelayedMachine machine = new(destination, rescue: true);
        machine.SendAll(returnPath: true);
        Assert.Equal(2, machine.Told()![1]);
        Assert.Equal(s_failure, machine.Told());
        MigrationInfo failed = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Refused, null), (failed.Status, failed.ErrorClass, failed.File));
        Assert.EndsWith("keeps its machine", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.False(File.Exists(machine.Relay.File));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_machine_that_its_source_may_have_dropped_is_rescued_also_on_cancel(bool cancel)
    {
        string rescued = Path.GetTempFileName();
        ScriptedDestination destination = new(returnPath: true) { StopsAfter = 1_000_000 };
        using (RelayedMachine machine = new(destination, rescue: true))
        {
            machine.SendAll();
            destination.AwaitStandstill();
            if (cancel)
            {
                machine.Relay.Process.Cancel();
            }
            else
            {
                destination.Die();
            }

            MigrationInfo ended = machine.Relay.Ended();

            Assert.Equal(cancel ? MigrationStatus.Cancelled : MigrationStatus.Failed, ended.Status);
            Assert.Equal(machine.Relay.File, ended.File);
            Assert.Contains($"saved in {ended.File}", ended.ErrorDescription, StringComparison.Ordinal);
            File.Copy(ended.File!, rescued, overwrite: true);
        }

        Assert.Equal(WhatIsSent(), WhatIsSent(rescued));
        File.Delete(rescued);
    }

    [Fact]
    public void The_time_of_a_failure_counts_the_way_on_too()
    {
        ScriptedDestination destination = new() { StopsAfter = 1_000_000 };
        using RelayedMachine machine = new(destination);
        machine.SendAll();
        destination.AwaitStandstill();
        TimeSpan arrived = machine.Relay.Process.Query().TotalTime;
        destination.Die();
        Assert.True(machine.Relay.Ended().TotalTime > arrived);
    }

    [Fact]
    public void Without_a_rescue_the_error_says_that_the_machine_may_be_gone()
    {
        using RelayedMachine machine = new(new ScriptedDestination(returnPath: true) { LastWords = s_failure });
        machine.SendAll();
        string error = machine.Relay.Ended().ErrorDescription!;
        Assert.Contains("no return path", error, StringComparison.Ordinal);
        Assert.Contains("--rescue", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rescue_that_fails_is_reported()
    {
        ScriptedDestination destination = new(returnPath: true);
        using RelayedMachine machine = new(destination, rescue: true);
        machine.SendAll();
        destination.AwaitStandstill();
        Directory.Delete(machine.Relay.DirectoryName);
        destination.Say(s_failure);
        MigrationInfo failed = machine.Relay.Ended();
        Directory.CreateDirectory(machine.Relay.DirectoryName);
        Assert.Equal(FailureReason.Refused, failed.ErrorClass);
        Assert.Contains("the machine could not be saved: ", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_cancel_anywhere_closes_both_sides_and_the_next_one_works(Place place)
    {
        using ManualResetEventSlim connecting = new();
        ScriptedDestination destination = new(returnPath: place is Place.Confirming) { StopsAfter = place is Place.Sending ? 1_000_000 : long.MaxValue };
        int opened = 0;
        using RelayedMachine machine = new(cancel =>
        {
            if (Interlocked.Increment(ref opened) > 1)
            {
                return new ScriptedDestination();
            }

            if (place is Place.Connecting)
            {
                connecting.Set();
                cancel.WaitHandle.WaitOne();
                cancel.ThrowIfCancellationRequested();
            }

            return destination;
        });
        machine.Send(StreamedMachine.Announcement(returnPath: false));
        switch (place)
        {
            case Place.Connecting:
                Assert.True(connecting.Wait(TimeSpan.FromSeconds(20)));
                break;
            case Place.Arriving:
                machine.Send(StreamedMachine.RamSection()[..1_000_000]);
                RelayedMachine.Await(() => machine.Relay.Process.Query().RamTransferred > 900_000, "RAM does not arrive");
                break;
            default:
                machine.Send([.. StreamedMachine.RamSection(), .. StreamedMachine.End()]);
                machine.CloseDirection();
                destination.AwaitStandstill();
                break;
        }

        machine.Relay.Process.Cancel();

        MigrationInfo cancelled = machine.Relay.Ended();
        Assert.Equal((MigrationStatus.Cancelled, FailureReason.Cancelled), (cancelled.Status, cancelled.ErrorClass));
        Assert.Equal(place is Place.Confirming, cancelled.ErrorDescription!.Contains("did not confirm", StringComparison.Ordinal));
        Assert.Null(machine.Told());
        Assert.Equal(place is Place.Connecting ? (0, 0) : (1, 1), (destination.Disposals, destination.ErrorsTold));
        machine.NextOneWorks();
    }

    /// <summary>What a destination gets of a capture; null: of the same machine as the relay's.</summary>
    private static byte[] WhatIsSent(string? path = null)
    {
        ScriptedDestination destination = new(returnPath: true) { LastWords = s_success };
        using RunningSource source = new(destination);
        Assert.Equal(MigrationStatus.Completed, source.SendToEnd(path: path).Status);
        return destination.Taken;
    }
}
