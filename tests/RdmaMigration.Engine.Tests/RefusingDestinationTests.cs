using System.Net;
using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>What a sender says when the destination takes the whole machine and then has something against it.</summary>
public sealed class RefusingDestinationTests
{
    [Fact]
    public void SHUT_0_completes_confirmed()
    {
        MigrationInfo info = Send([0, 1, 0, 4, 0, 0, 0, 0]);
        Assert.Equal((MigrationStatus.Completed, true), (info.Status, info.Confirmed));
    }

    [Fact]
    public void SHUT_1_is_a_failure_that_names_the_destinations_log() =>
        Refused([0, 1, 0, 4, 0, 0, 0, 1], FailureReason.Refused, "SHUT 1", $"'{StreamedMachine.Machine}'", "4 MiB ('pc.ram')", "log");

    [Fact]
    public void A_close_without_SHUT_is_a_failure_that_names_the_destinations_log() =>
        Refused([], FailureReason.Disconnected, "after everything was sent", $"'{StreamedMachine.Machine}'", "log");

    [Theory]
    [InlineData(new byte[] { 0, 99, 0, 4, 0, 0, 0, 0 }, "unknown message 99")]
    [InlineData(new byte[] { 0, 1, 0xff, 0xff }, "Shut with 65535 bytes")]
    [InlineData(new byte[] { 0, 2, 0, 4, 0, 0, 0, 9 }, "PONG 9")]
    [InlineData(new byte[] { 0, 4, 0, 12 }, "postcopy")]
    public void A_message_that_a_destination_must_not_send_is_a_protocol_error(byte[] said, string expected) => Refused(said, FailureReason.Protocol, expected);

    private static void Refused(byte[] said, FailureReason expected, params string[] words)
    {
        MigrationInfo info = Send(said);
        Assert.Equal((MigrationStatus.Failed, expected), (info.Status, info.ErrorClass));
        Assert.Null(info.Confirmed);
        Assert.All(words, word => Assert.Contains(word, info.ErrorDescription, StringComparison.Ordinal));
    }

    /// <summary>Sends a machine to a destination that reads all of it, says something, and closes.</summary>
    private static MigrationInfo Send(byte[] said)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        Thread destination = new(() =>
        {
            using Socket source = listener.AcceptSocket();
            byte[] taken = new byte[1 << 16];
            while (source.Receive(taken) > 0)
            {
            }

            source.Send(said);
        });
        destination.Start();
        using RunningSource source = new();
        TcpUri uri = new("127.0.0.1", ((IPEndPoint)listener.LocalEndpoint).Port);
        MigrationInfo info = source.SendToEnd(options => (options with { Uri = uri }).With(MigrationParameters.Timeout, TimeSpan.FromSeconds(30)));
        destination.Join();
        return info;
    }
}
