using System.Net;
using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A destination that goes away while a machine is sent to it over a real socket.</summary>
public sealed class LostDestinationTests
{
    private const int Seed = 20260131;
    private const int Losses = 200;

    /// <summary>What a sender knows of it: where it was, and what to do.</summary>
    private const string Words =
        @"^the destination \S+ closed the connection "
        + "(before it took any RAM|after [0-9]+ of 4194304 bytes of RAM|while device state was sent|after everything was sent) "
        + "without.* log.*'test-1.0'";

    [Fact]
    public void A_loss_at_any_byte_fails_and_holds_nothing()
    {
        using RunningSource source = new();
        Random random = new(Seed);
        byte[] sent = SendToFile(source);
        string[]? before = null;
        for (int i = 0; i < Losses; i++)
        {
            // Each kind of loss, and each part of the stream: half of them near its ends, where it changes fastest.
            int at = i % 2 == 0 ? random.Next(sent.Length) : i % 4 == 1 ? random.Next(300) : sent.Length - random.Next(300);
            LoseAt(source, at, abruptly: random.Next(2) == 0, isUnix: random.Next(2) == 0);
            before ??= OpenFiles.Of(Environment.ProcessId);
        }

        Assert.Equal(before, OpenFiles.Of(Environment.ProcessId));
        Assert.Equal(sent, SendToFile(source));
    }

    /// <summary>Has the destination read so many bytes and close.</summary>
    private static void LoseAt(RunningSource source, int at, bool abruptly, bool isUnix)
    {
        using Destination destination = new(isUnix);
        source.Send(options => options with { Uri = destination.Uri });
        using (Socket connection = destination.Accept())
        {
            Span<byte> taken = new byte[1 << 16];
            for (int left = at; left > 0;)
            {
                int read = connection.Receive(taken[..Math.Min(taken.Length, left)]);
                Assert.True(read > 0, $"the source closed {left} bytes before the destination did: {source.Process.Query()}");
                left -= read;
            }

            if (abruptly && !isUnix)
            {
                connection.LingerState = new LingerOption(true, 0);
            }
        }

        MigrationInfo failed = source.Ended();
        Assert.True((failed.Status, failed.ErrorClass) == (MigrationStatus.Failed, FailureReason.Disconnected), $"lost at {at}: {failed}");
        Assert.Matches(Words, failed.ErrorDescription);
        Assert.Null(failed.Confirmed);
        source.Settle();
    }

    private static byte[] SendToFile(RunningSource source)
    {
        string file = Path.GetTempFileName();
        Assert.Equal(MigrationStatus.Completed, source.SendToEnd(options => options with { Uri = new FileUri(file) }).Status);
        source.Settle();
        byte[] sent = File.ReadAllBytes(file);
        File.Delete(file);
        return sent;
    }

    private sealed class Destination : IDisposable
    {
        private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");
        private readonly Socket _listener;

        public Destination(bool isUnix)
        {
            string path = Path.Combine(_directory.FullName, "socket");
            EndPoint address = isUnix ? new UnixDomainSocketEndPoint(path) : new IPEndPoint(IPAddress.Loopback, 0);
            _listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
            _listener.Bind(address);
            _listener.Listen();
            Uri = isUnix ? new UnixUri(path) : new TcpUri("127.0.0.1", ((IPEndPoint)_listener.LocalEndPoint!).Port);
        }

        public MigrationUri Uri { get; }

        public Socket Accept() => _listener.Accept();

        public void Dispose()
        {
            _listener.Dispose();
            _directory.Delete(recursive: true);
        }
    }
}
