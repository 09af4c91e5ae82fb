using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>Incoming migrations over what is not RDMA, with a source that can do what QEMU never would.</summary>
public sealed class StreamChannelMigrationTests
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    public static TheoryData<int> Places => [4, 8, 40, 200, 1_000_000, StreamedMachine.All().Length - 1];

    [Fact]
    public void A_machine_arrives_and_its_figures_are_right()
    {
        using RunningDestination destination = OverTcp();
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.All());
        source.Socket.Shutdown(SocketShutdown.Send);
        MigrationInfo completed = destination.Ended();
        Assert.Equal((MigrationStatus.Completed, RamMode.Stream, StreamedMachine.Machine), (completed.Status, completed.Mode, completed.Machine));
        Assert.Equal((StreamedMachine.RamSize, StreamedMachine.RamSize), ((int)completed.RamTotal, (int)completed.RamTransferred));
        Assert.Equal(StreamedMachine.RamSize / 2, completed.RamZero);
        Assert.True(File.ReadAllBytes(destination.File).AsSpan().IndexOf(StreamedMachine.Ram.AsSpan(123 * 4096, 4096)) > 0);
    }

    [Fact]
    public void Progress_counts_what_has_come()
    {
        using RunningDestination destination = OverTcp();
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.Announcement(returnPath: false));
        byte[] ram = StreamedMachine.RamSection();
        source.Write(ram.AsSpan(0, 1 << 20));
        const long least = (1 << 20) * 9 / 10;
        Assert.True(SpinWait.SpinUntil(() => destination.Process.Query().RamTransferred > least, s_soon));
        MigrationInfo half = destination.Process.Query();
        Assert.Equal((MigrationPhase.Ram, 0), (half.Phase, half.RamZero));
        Assert.InRange(half.RamTransferred, least, 1 << 20);
        source.Write(ram.AsSpan(1 << 20));
        source.Write(StreamedMachine.End());
        source.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Fact]
    public void PING_is_answered_and_SHUT_0_comes_only_when_the_capture_has_its_name()
    {
        using RunningDestination destination = OverTcp();
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.Announcement(returnPath: true));
        Assert.Equal([0, 2, 0, 4, 0, 0, 0, 1], Next(source));
        source.Write([.. StreamedMachine.RamSection(), .. StreamedMachine.End()]);
        Assert.Equal([0, 1, 0, 4, 0, 0, 0, 0], Next(source));
        Assert.True(File.Exists(destination.File));
        Assert.True(destination.Ended().ReturnPath);
        Assert.Equal(0, source.Read(new byte[1]));
    }

    [Fact]
    public void A_source_without_vmdescription_that_closes_its_direction_is_confirmed()
    {
        using RunningDestination destination = OverTcp();
        using NetworkStream source = Connect(destination);
        source.Write([.. StreamedMachine.Announcement(returnPath: true), .. StreamedMachine.RamSection(), .. StreamedMachine.Device(), 0]);
        source.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(2, Next(source)[1]);
        Assert.Equal([0, 1, 0, 4, 0, 0, 0, 0], Next(source));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_source_that_is_silent_where_the_stream_looks_over_is_waited_for(bool returnPath)
    {
        // A device that holds what looks like its footer, the end marker and a vmdescription; the source pauses just behind them.
        byte[] json = "{\"page_size\": 4096, \"devices\": []}"u8.ToArray();
        byte[] device = [0x04, 0, 0, 0, 2, 3, .. "odd"u8, 0, 0, 0, 0, 0, 0, 0, 1, 0x7e, 0, 0, 0, 2, 0x00, 0x06, 0, 0, 0, (byte)json.Length, .. json];
        byte[] rest = [1, 2, 3, 0x7e, 0, 0, 0, 2, 0x00];
        byte[] description = System.Text.Encoding.ASCII.GetBytes(
            $$"""{"devices": [{"name": "odd", "instance_id": 0, "fields": [{"name": "x", "type": "buffer", "size": {{device.Length - 17 + 3}}}]}]}""");
        using RunningDestination destination = OverTcp();
        using NetworkStream source = Connect(destination);
        source.Write([.. StreamedMachine.Announcement(returnPath), .. StreamedMachine.RamSection(), .. device]);
        Thread.Sleep(TimeSpan.FromSeconds(1));
        source.Write(rest);

        // Behind the end marker too.
        Thread.Sleep(TimeSpan.FromSeconds(3));
        source.Write([0x06, 0, 0, 0, (byte)description.Length, .. description]);
        if (!returnPath)
        {
            source.Socket.Shutdown(SocketShutdown.Send);
        }

        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        Assert.True(
            File.ReadAllBytes(destination.File).AsSpan().EndsWith((byte[])[.. device, .. rest, 0x06, 0, 0, 0, (byte)description.Length, .. description]));
    }

    [Fact]
    public void Bytes_behind_the_stream_are_dropped()
    {
        using RunningDestination destination = OverTcp();
        using (NetworkStream source = Connect(destination))
        {
            source.Write([.. StreamedMachine.All(), .. new byte[1024]]);
        }

        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        Assert.True(File.ReadAllBytes(destination.File).AsSpan().EndsWith(StreamedMachine.End()));
    }

    [Fact]
    public void Pages_that_are_announced_beside_a_socket_are_refused()
    {
        using RunningDestination destination = OverTcp();
        using NetworkStream source = Connect(destination);
        byte[] hook = [0x03, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x80];
        source.Write([.. StreamedMachine.Announcement(returnPath: false), .. hook, .. StreamedMachine.EndOfRam(), .. StreamedMachine.End()]);
        Assert.Equal((MigrationStatus.Failed, FailureReason.Protocol), (destination.Ended().Status, destination.Process.Query().ErrorClass));
        Assert.False(File.Exists(destination.File));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1_000_000)]
    public void A_channel_of_multifd_fails_the_migration_at_once_and_the_source_is_told(int ramSent)
    {
        using RunningDestination destination = OverTcp();
        using NetworkStream source = Connect(destination);
        source.Write([.. StreamedMachine.Announcement(returnPath: true), .. StreamedMachine.RamSection().AsSpan(0, ramSent)]);
        Assert.Equal(2, Next(source)[1]);
        using NetworkStream pages = Connect(destination);
        pages.Write([0x11, 0x22, 0x33, 0x44]);
        Assert.Equal([0, 1, 0, 4, 0, 0, 0, 1], Next(source));
        MigrationInfo failed = destination.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Stream), (failed.Status, failed.ErrorClass));
        Assert.Contains("multifd", failed.ErrorDescription, StringComparison.Ordinal);
        destination.Settle();
        Assert.Empty(destination.LeftBehind);
        Assert.False(File.Exists(destination.File));
        NextOneWorks(destination);
    }

    [Fact]
    public void A_failed_load_sends_SHUT_1()
    {
        using RunningDestination destination = OverTcp();
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.Announcement(returnPath: true));
        Assert.Equal(2, Next(source)[1]);
        source.Write([0xff, 0xff]);
        Assert.Equal([0, 1, 0, 4, 0, 0, 0, 1], Next(source));
        Assert.Equal((MigrationStatus.Failed, FailureReason.Stream), (destination.Ended().Status, destination.Process.Query().ErrorClass));
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_source_that_goes_away_anywhere_fails_the_migration_and_the_next_one_works(int sent)
    {
        using RunningDestination destination = OverTcp();
        using (NetworkStream source = Connect(destination))
        {
            source.Write(StreamedMachine.All().AsSpan(0, sent));
        }

        MigrationInfo failed = destination.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Disconnected), (failed.Status, failed.ErrorClass));
        destination.Settle();
        Assert.Empty(destination.LeftBehind);
        NextOneWorks(destination);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_cancel_anywhere_disconnects_the_source_and_the_next_one_works(int sent)
    {
        using RunningDestination destination = OverTcp();
        using (NetworkStream source = Connect(destination))
        {
            source.Write(StreamedMachine.All().AsSpan(0, sent));
            Assert.Equal(MigrationStatus.Setup, destination.Next().Status);
            destination.Process.Cancel();
            Assert.Equal(MigrationStatus.Cancelled, destination.Ended().Status);
        }

        NextOneWorks(destination);
    }

    [Fact]
    public void A_silent_source_is_timed_out_but_a_command_may_take_its_time()
    {
        using (RunningDestination destination = new(
            options => (options with { Uri = new TcpUri("127.0.0.1", 0) }).With(MigrationParameters.SetupTimeout, TimeSpan.FromSeconds(1))))
        {
            using NetworkStream silent = Connect(destination);
            silent.Write(StreamedMachine.All().AsSpan(0, 8));
            Assert.Equal(FailureReason.Timeout, destination.Ended().ErrorClass);
        }

        string stream = Path.GetTempFileName();
        File.WriteAllBytes(stream, StreamedMachine.All());
        using RunningDestination later = new(
            options => (options with { Uri = new ExecUri($"sleep 1; cat '{stream}'") }).With(MigrationParameters.SetupTimeout, TimeSpan.FromMilliseconds(50)));
        Assert.Equal(MigrationStatus.Completed, later.Ended().Status);
        later.AwaitEnd(s_soon);
        File.Delete(stream);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_source_may_be_silent_after_its_configuration_longer_than_the_setup_timeout(bool returnPath)
    {
        TimeSpan timeout = TimeSpan.FromSeconds(1);
        using RunningDestination destination = new(
            options => (options with { Uri = new TcpUri("127.0.0.1", 0) }).With(MigrationParameters.SetupTimeout, timeout));
        using NetworkStream source = Connect(destination);
        int configured = StreamedMachine.Configuration(returnPath).Length;
        source.Write(StreamedMachine.All(returnPath).AsSpan(0, configured));
        Thread.Sleep(2 * timeout);
        source.Write(StreamedMachine.All(returnPath).AsSpan(configured));
        source.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Fact]
    public void What_begins_no_stream_is_no_migration_and_does_not_end_once()
    {
        using RunningDestination destination = new(options => options with { Uri = new TcpUri("127.0.0.1", 0), Once = true });
        Connect(destination).Dispose();
        using NetworkStream idle = Connect(destination);
        using (NetworkStream tls = Connect(destination))
        {
            tls.Write([0x16, 0x03, 0x01]);
            Assert.Throws<IOException>(() => tls.ReadByte());
        }

        using (NetworkStream half = Connect(destination))
        {
            half.Write(StreamedMachine.All().AsSpan(0, 3));
        }

        Assert.False(destination.Process.IsBusy);
        Assert.Equal(MigrationStatus.None, destination.Process.Query().Status);
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.All());
        source.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(MigrationStatus.Setup, destination.Next().Status);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        destination.AwaitEnd(s_soon);
    }

    [Theory]
    [InlineData("exec:true")]
    [InlineData("file:/dev/null")]
    public void A_source_that_is_read_once_ends_the_loop_also_when_it_fails(string uri)
    {
        using RunningDestination destination = new(options => options with { Uri = MigrationUri.Parse(uri) });
        Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
        destination.AwaitEnd(s_soon);
    }

    [Fact]
    public void A_command_that_never_ends_behind_a_whole_machine_is_not_waited_for_for_ever()
    {
        string stream = Path.GetTempFileName();
        File.WriteAllBytes(stream, StreamedMachine.All());
        using RunningDestination destination = new(
            options => (options with { Uri = new ExecUri($"cat '{stream}'; sleep 1000") })
                .With(MigrationParameters.SilenceTimeout, TimeSpan.FromMilliseconds(300)));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        destination.AwaitEnd(s_soon);
        File.Delete(stream);
    }

    [Fact]
    public void A_source_without_a_return_path_that_does_not_close_is_not_waited_for_for_ever()
    {
        using RunningDestination destination = new(
            options => (options with { Uri = new TcpUri("127.0.0.1", 0) }).With(MigrationParameters.SilenceTimeout, TimeSpan.FromMilliseconds(300)));
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.All());
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Fact]
    public void A_return_path_that_a_pipe_cannot_give_fails_with_what_to_do()
    {
        string stream = Path.GetTempFileName();
        File.WriteAllBytes(stream, StreamedMachine.All(returnPath: true));
        using RunningDestination destination = new(options => options with { Uri = new FileUri(stream) });
        Assert.Contains("turn return-path off", destination.Ended().ErrorDescription, StringComparison.Ordinal);
        File.Delete(stream);
    }

    private static RunningDestination OverTcp() => new(options => options with { Uri = new TcpUri("127.0.0.1", 0) });

    private static NetworkStream Connect(RunningDestination destination)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = (int)s_soon.TotalMilliseconds };
        socket.Connect(destination.EndPoint);
        return new NetworkStream(socket, ownsSocket: true);
    }

    private static byte[] Next(NetworkStream source)
    {
        byte[] message = new byte[8];
        source.ReadExactly(message);
        return message;
    }

    private static void NextOneWorks(RunningDestination destination)
    {
        using NetworkStream next = Connect(destination);
        next.Write(StreamedMachine.All());
        next.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }
}
