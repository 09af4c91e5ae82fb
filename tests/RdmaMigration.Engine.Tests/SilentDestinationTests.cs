using System.Net;
using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A destination whose host accepts connections, and whose program does not answer.</summary>
public sealed class SilentDestinationTests
{
    private static readonly byte[] s_pong = [0, 2, 0, 4, 0, 0, 0, 1];
    private static readonly byte[] s_success = [0, 1, 0, 4, 0, 0, 0, 0];

    [Fact]
    public void A_port_whose_program_never_answers_is_given_up_after_the_answer_timeout()
    {
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        using RunningSource source = new();
        TcpUri uri = new("127.0.0.1", ((IPEndPoint)silent.LocalEndpoint).Port);
        MigrationInfo failed = source.SendToEnd(
            options => (options with { Uri = uri }).With(MigrationParameters.AnswerTimeout, TimeSpan.FromMilliseconds(300)));
        Assert.Equal((MigrationStatus.Failed, FailureReason.Timeout), (failed.Status, failed.ErrorClass));
        Assert.Contains("--answer-timeout", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.InRange(failed.TotalTime, TimeSpan.FromMilliseconds(300), TimeSpan.FromSeconds(20));
    }

    [Fact]
    public void A_relay_finds_a_silent_destination_while_the_source_still_runs_its_machine()
    {
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        OutgoingOptions outgoing = new() { Uri = new TcpUri("127.0.0.1", ((IPEndPoint)silent.LocalEndpoint).Port) };
        using RunningDestination relay = new(options => options with
        {
            Uri = new TcpUri("127.0.0.1", 0),
            Target = new RelayTarget(outgoing.With(MigrationParameters.AnswerTimeout, TimeSpan.FromMilliseconds(300))),
        });
        using Socket source = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        source.Connect(relay.EndPoint);

        source.Send(StreamedMachine.Announcement(returnPath: false));

        MigrationInfo failed = relay.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Timeout), (failed.Status, failed.ErrorClass));
        Assert.Contains("--answer-timeout", failed.ErrorDescription, StringComparison.Ordinal);
    }

    [Fact]
    public void A_destination_that_answers_a_relay_may_wait_for_a_machine_that_takes_its_time()
    {
        ScriptedDestination destination = new(returnPath: true) { LastWords = s_success };
        destination.Say(s_pong);
        OutgoingOptions outgoing = new() { Uri = new UnixUri("scripted") };
        using RunningDestination relay = new(
            options => options with
            {
                Uri = new TcpUri("127.0.0.1", 0),
                Target = new RelayTarget(outgoing.With(MigrationParameters.AnswerTimeout, TimeSpan.FromMilliseconds(50))),
            },
            connect: _ => destination);
        using Socket source = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        source.Connect(relay.EndPoint);
        source.Send(StreamedMachine.Announcement(returnPath: false));
        RelayedMachine.Await(() => relay.Process.Query().RamTotal > 0, "the machine is not announced");

        // The PING is part of what the destination gets before any RAM.
        Assert.True(destination.SentBytes > 0 && destination.Taken.AsSpan().IndexOf((ReadOnlySpan<byte>)[8, 0, 2, 0, 4]) > 0);
        Thread.Sleep(300);
        Assert.Null(relay.Process.Query().ErrorClass);
        source.Send([.. StreamedMachine.RamSection(), .. StreamedMachine.End()]);
        source.Shutdown(SocketShutdown.Send);
        Assert.Equal(MigrationStatus.Completed, relay.Ended().Status);
    }

    [Fact]
    public void A_destination_that_has_answered_may_take_longer_than_the_answer_timeout()
    {
        ScriptedDestination destination = new(returnPath: true) { StopsAtFinish = true, LastWords = s_success };
        destination.Say(s_pong);
        using RunningSource source = new(destination);
        source.Send(options => options.With(MigrationParameters.AnswerTimeout, TimeSpan.FromMilliseconds(50)));
        destination.AwaitStandstill();
        Thread.Sleep(300);
        Assert.Equal(MigrationPhase.Confirming, source.Process.Query().Phase);
        destination.GoOn();
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
    }

    [Fact]
    public void A_file_or_a_command_owes_no_answer()
    {
        ScriptedDestination destination = new() { StopsAtFinish = true, Confirms = true };
        using RunningSource source = new(destination);
        source.Send(options => options.With(MigrationParameters.AnswerTimeout, TimeSpan.FromMilliseconds(50)));
        destination.AwaitStandstill();
        Thread.Sleep(300);
        Assert.Null(source.Process.Query().ErrorClass);
        destination.GoOn();
        Assert.Equal(MigrationStatus.Completed, source.Ended().Status);
    }
}
