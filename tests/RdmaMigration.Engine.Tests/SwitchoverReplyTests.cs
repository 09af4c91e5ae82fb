using System.Net.Sockets;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>How a source with capability switchover-ack is answered, which no stream says it has.</summary>
public class SwitchoverReplyTests
{
    private static readonly byte[] s_pong = [0, 2, 0, 4, 0, 0, 0, 1];
    private static readonly byte[] s_acknowledged = [0, 7, 0, 0];
    private static readonly byte[] s_success = [0, 1, 0, 4, 0, 0, 0, 0];

    // A PART section of RAM with nothing but its end.
    private static readonly byte[] s_idle = [0x02, 0, 0, 0, 1, .. StreamedMachine.EndOfRam()];

    [Theory]
    [InlineData("pc-q35-7.2", "WhenTheSourceWaits")]
    [InlineData("pc-i440fx-8.0", "WhenTheSourceWaits")]
    [InlineData("pc-q35-2.4.1", "WhenTheSourceWaits")]
    [InlineData("pc-i440fx-8.1", "AtOnce")]
    [InlineData("virt-9.2", "AtOnce")]
    [InlineData("pseries-10.0", "AtOnce")]
    [InlineData("s390-ccw-virtio-10.1", "AtOnce")]
    [InlineData("pc-i440fx-11.0", "AtOnce")]
    [InlineData("pc-q35-11.1", "Never")]
    [InlineData("virt-12.0", "Never")]
    [InlineData("microvm", "WhenTheSourceWaits")]
    [InlineData("virt", "WhenTheSourceWaits")]
    [InlineData("versatilepb", "WhenTheSourceWaits")]
    [InlineData("pc-q35-rhel9.4.0", "WhenTheSourceWaits")]
    [InlineData("pc-i440fx-noble", "WhenTheSourceWaits")]
    [InlineData("acme-cloud-12.0", "WhenTheSourceWaits")]
    [InlineData("pc-q35-", "WhenTheSourceWaits")]
    [InlineData("pc-q35-11", "WhenTheSourceWaits")]
    [InlineData("pc-q35- 11.1", "WhenTheSourceWaits")]
    [InlineData("pc-q35-99999999999.1", "WhenTheSourceWaits")]
    [InlineData(null, "WhenTheSourceWaits")]
    public void Auto_decides_by_the_machine_type(string? machineType, string expected) =>
        Assert.Equal(expected, SwitchoverReplies.For(SwitchoverAck.Auto, machineType).ToString());

    [Theory]
    [InlineData("pc-q35-7.2")]
    [InlineData("pc-q35-11.1")]
    [InlineData(null)]
    public void Always_and_never_hold_for_every_machine_type(string? machineType)
    {
        Assert.Equal(SwitchoverReply.AtOnce, SwitchoverReplies.For(SwitchoverAck.Always, machineType));
        Assert.Equal(SwitchoverReply.Never, SwitchoverReplies.For(SwitchoverAck.Never, machineType));
    }

    [Fact]
    public void Enough_idle_sections_in_a_row_and_in_time_are_a_source_that_waits()
    {
        IdlePasses passes = new();

        Assert.DoesNotContain(true, Notes(passes, IdlePasses.Enough - 1, TimeSpan.Zero));
        Assert.False(passes.Note(isIdle: false, TimeSpan.Zero));
        Assert.DoesNotContain(true, Notes(passes, IdlePasses.Enough - 1, TimeSpan.FromSeconds(1)));
        Assert.DoesNotContain(true, Notes(passes, 1, TimeSpan.FromSeconds(1) + IdlePasses.Window + TimeSpan.FromMilliseconds(1)));
        Assert.Equal([true], Notes(passes, IdlePasses.Enough, TimeSpan.FromSeconds(3)).Where(isEnough => isEnough));
        Assert.DoesNotContain(true, Notes(passes, 10 * IdlePasses.Enough, TimeSpan.FromSeconds(3)));
    }

    [Fact]
    public void A_source_that_repeats_passes_without_pages_is_acknowledged_once()
    {
        using RunningDestination destination = new(options => options with { Uri = new TcpUri("127.0.0.1", 0) });
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.Announcement(returnPath: true));
        Assert.Equal(s_pong, Next(source, s_pong.Length));

        source.Write([.. Enumerable.Repeat(s_idle, 5 * IdlePasses.Enough).SelectMany(part => part)]);

        Assert.Equal(s_acknowledged, Next(source, s_acknowledged.Length));
        source.Write([.. StreamedMachine.RamSection(), .. StreamedMachine.End()]);
        Assert.Equal(s_success, Next(source, s_success.Length));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Theory]
    [InlineData("auto", false)]
    [InlineData("never", true)]
    public void A_source_that_does_not_wait_and_one_that_shall_not_be_answered_get_no_acknowledgement(string setting, bool isIdle)
    {
        using RunningDestination destination = new(options => (options with { Uri = new TcpUri("127.0.0.1", 0) })
            .With(MigrationParameters.SwitchoverAck, Enum.Parse<SwitchoverAck>(setting, ignoreCase: true)));
        using NetworkStream source = Connect(destination);
        byte[] page = [0x02, 0, 0, 0, 1, .. new byte[7], 0x02, 6, .. "pc.ram"u8, 0, .. StreamedMachine.EndOfRam()];
        byte[] passes = [.. Enumerable.Repeat(s_idle, IdlePasses.Enough - 1).SelectMany(part => part), .. isIdle ? s_idle : page];

        source.Write([.. StreamedMachine.Announcement(returnPath: true), .. passes, .. passes, .. StreamedMachine.RamSection(), .. StreamedMachine.End()]);

        Assert.Equal(s_pong, Next(source, s_pong.Length));
        Assert.Equal(s_success, Next(source, s_success.Length));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    private static bool[] Notes(IdlePasses passes, int count, TimeSpan now) => [.. Enumerable.Range(0, count).Select(_ => passes.Note(isIdle: true, now))];

    private static NetworkStream Connect(RunningDestination destination)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000 };
        socket.Connect(destination.EndPoint);
        return new NetworkStream(socket, ownsSocket: true);
    }

    private static byte[] Next(NetworkStream source, int length)
    {
        byte[] message = new byte[length];
        source.ReadExactly(message);
        return message;
    }
}
