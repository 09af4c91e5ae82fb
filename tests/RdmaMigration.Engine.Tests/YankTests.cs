using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>yank on a thread of its own, as a client sends it out of band.</summary>
public sealed class YankTests
{
    private const int Races = 200;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    [Fact]
    public void A_yank_fails_the_migration_while_the_main_loop_is_busy()
    {
        using RunningDestination destination = OverTcp();
        using Socket source = Connect(destination);
        source.Send(StreamedMachine.Announcement(returnPath: false));
        source.Send(StreamedMachine.RamSection().AsSpan(0, 1 << 20));
        Assert.True(SpinWait.SpinUntil(() => destination.Process.Query().RamTransferred > 0, s_soon));
        using ManualResetEventSlim busy = new();
        using ManualResetEventSlim free = new();
        destination.Loop.Schedule(() =>
        {
            busy.Set();
            free.Wait();
        });
        try
        {
            Assert.True(busy.Wait(s_soon));

            destination.Process.Yank();

            Assert.True(SpinWait.SpinUntil(() => destination.Process.Query().Status is MigrationStatus.Failed, s_soon));
            Assert.True(destination.Process.IsBusy);
        }
        finally
        {
            free.Set();
        }

        Assert.Equal(FailureReason.Disconnected, destination.Ended().ErrorClass);
        destination.Settle();
        Assert.True(HasEnded(source));
        AssertTakesTheNext(destination);
    }

    /// <summary>The yank meets the start, the transfer, the teardown and the time between two migrations.</summary>
    [Fact]
    public void A_yank_at_any_time_ends_at_most_the_migration_that_runs()
    {
        Random random = new(20261128);
        using RunningDestination destination = OverTcp();
        byte[] stream = StreamedMachine.All();
        int failed = 0;
        for (int i = 0; i < Races; i++)
        {
            TimeSpan delay = TimeSpan.FromMicroseconds(random.Next(4000));
            Thread yanks = new(() =>
            {
                Thread.Sleep(delay);
                destination.Process.Yank();
            });
            using Socket source = Connect(destination);
            yanks.Start();
            Exception? cut = Record.Exception(() =>
            {
                source.Send(stream);
                source.Shutdown(SocketShutdown.Send);
            });
            Assert.True(cut is null or SocketException, $"{cut}");
            MigrationInfo ended = destination.Ended();
            yanks.Join();
            destination.Settle();
            Assert.True(
                ended.Status is MigrationStatus.Completed || ended is { Status: MigrationStatus.Failed, ErrorClass: FailureReason.Disconnected }, $"{ended}");
            failed += ended.Status is MigrationStatus.Failed ? 1 : 0;
        }

        AssertTakesTheNext(destination);
        Assert.InRange(failed, 1, Races);
    }

    private static void AssertTakesTheNext(RunningDestination destination)
    {
        using Socket next = Connect(destination);
        next.Send(StreamedMachine.All());
        next.Shutdown(SocketShutdown.Send);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    /// <summary>The other side has closed or reset the connection.</summary>
    private static bool HasEnded(Socket source)
    {
        try
        {
            return source.Receive(new byte[1]) == 0;
        }
        catch (SocketException lost)
        {
            return lost.SocketErrorCode is SocketError.ConnectionReset;
        }
    }

    private static RunningDestination OverTcp() => new(options => options with { Uri = new TcpUri("127.0.0.1", 0) });

    private static Socket Connect(RunningDestination destination)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = (int)s_soon.TotalMilliseconds };
        socket.Connect(destination.EndPoint);
        return socket;
    }
}
