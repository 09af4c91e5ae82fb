namespace RdmaMigration.Transport.Tests;

/// <summary>The way back over RDMA, over a link in memory.</summary>
public sealed class RdmaReturnPathInputTests
{
    private static readonly byte[] s_said = [0, 1, 0, 4, 0, 0, 0, 0];

    [Fact]
    public void The_first_message_comes_unasked_and_each_further_one_is_asked_for_with_one_READY()
    {
        ScriptedLink link = new([ControlMessages.QemuFile(s_said), ControlMessages.QemuFile(s_said)]);
        RdmaReturnPathInput reader = new(link);
        byte[] read = new byte[8];
        Assert.Equal((8, 8), (Read(reader, read), Read(reader, read)));
        Assert.Equal(ConnectionLoss.Disconnected, Assert.Throws<ConnectionLostException>(() => Read(reader, read)).Loss);
        Assert.Equal([ControlMessageType.Ready, ControlMessageType.Ready], link.Sent.Select(sent => sent.Header.Type));
    }

    [Fact]
    public void Bytes_that_arrived_before_the_loss_are_read_although_READY_fails()
    {
        ScriptedLink link = new([ControlMessages.QemuFile(s_said)]) { IsLost = true };
        RdmaReturnPathInput reader = new(link);
        byte[] read = new byte[8];
        Assert.Equal(8, Read(reader, read));
        Assert.Equal(s_said, read);
        Assert.Equal(ConnectionLoss.Disconnected, Assert.Throws<ConnectionLostException>(() => Read(reader, read)).Loss);
    }

    [Fact]
    public void ERROR_is_the_destinations_end_and_no_broken_protocol()
    {
        RdmaReturnPathInput reader = new(new ScriptedLink([ControlMessages.Of(ControlMessageType.Error)]));
        ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => Read(reader, new byte[8]));
        Assert.Equal(ConnectionLoss.PeerError, lost.Loss);
        Assert.Contains("10.0.0.9:4711 reported a failure", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_that_no_destination_sends_is_refused()
    {
        RdmaReturnPathInput reader = new(new ScriptedLink([ControlMessages.Of(ControlMessageType.Compress)]));
        ControlProtocolException broken = Assert.Throws<ControlProtocolException>(() => Read(reader, new byte[8]));
        Assert.Contains("10.0.0.9:4711 sent Compress (6) of 0 bytes; expected QEMU_FILE", broken.Message, StringComparison.Ordinal);
    }

    private static int Read(RdmaReturnPathInput reader, byte[] buffer) => reader.Read(buffer, Timeout.InfiniteTimeSpan);
}
