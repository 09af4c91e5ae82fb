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

    // A PART section of RAM with one page, which is zero.
    private static readonly byte[] s_part = [0x02, 0, 0, 0, 1, .. new byte[7], 0x02, 6, .. "pc.ram"u8, 0, .. StreamedMachine.EndOfRam()];

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

    [Theory]
    [InlineData(51, true)]
    [InlineData(1000, true)]
    [InlineData(30, false)]
    public void Short_passes_that_go_on_for_seconds_are_those_of_a_source_that_waits(int partsPerSecond, bool waits)
    {
        RepeatedPasses passes = new();

        Assert.Equal(waits, Enumerable.Range(0, 4 * partsPerSecond).Any(part => passes.Count(TimeSpan.FromSeconds(100 + ((double)part / partsPerSecond)))));
    }

    [Fact]
    public void A_burst_of_short_passes_is_none_of_a_source_that_waits()
    {
        RepeatedPasses passes = new();

        foreach (int second in Enumerable.Range(100, 10))
        {
            // QEMU 7.2 does not know its bandwidth in the first tenth of a second.
            Assert.DoesNotContain(true, Enumerable.Range(0, 2000).Select(_ => passes.Count(TimeSpan.FromSeconds(2.1 * second))));
        }
    }

    [Fact]
    public async Task A_source_that_repeats_passes_is_acknowledged_once()
    {
        using RunningDestination destination = new(options => options with { Uri = new TcpUri("127.0.0.1", 0) });
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.Announcement(returnPath: true));
        Assert.Equal(s_pong, Next(source, s_pong.Length));

        Task<byte[]> acknowledged = Task.Run(() => Next(source, s_acknowledged.Length));
        for (int parts = 0; !acknowledged.IsCompleted; parts++)
        {
            source.Write(s_part);
            await Task.Delay(2, TestContext.Current.CancellationToken);
        }

        Assert.Equal(s_acknowledged, await acknowledged);
        source.Write([.. Enumerable.Repeat(s_part, 200).SelectMany(part => part), .. StreamedMachine.RamSection(), .. StreamedMachine.End()]);
        Assert.Equal(s_success, Next(source, s_success.Length));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    [Theory]
    [InlineData("auto", 30)]
    [InlineData("never", 2)]
    public void A_source_that_does_not_wait_or_that_shall_have_none_gets_no_acknowledgement(string setting, int millisecondsBetweenParts)
    {
        using RunningDestination destination = new(options => (options with { Uri = new TcpUri("127.0.0.1", 0) })
            .With(MigrationParameters.SwitchoverAck, Enum.Parse<SwitchoverAck>(setting, ignoreCase: true)));
        using NetworkStream source = Connect(destination);
        source.Write(StreamedMachine.Announcement(returnPath: true));
        long began = Environment.TickCount64;
        while (Environment.TickCount64 - began < 3500)
        {
            source.Write(s_part);
            Thread.Sleep(millisecondsBetweenParts);
        }

        source.Write([.. StreamedMachine.RamSection(), .. StreamedMachine.End()]);

        Assert.Equal(s_pong, Next(source, s_pong.Length));
        Assert.Equal(s_success, Next(source, s_success.Length));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

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
