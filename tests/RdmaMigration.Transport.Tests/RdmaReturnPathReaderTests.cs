namespace RdmaMigration.Transport.Tests;

/// <summary>The way back over RDMA, over a link in memory.</summary>
public sealed class RdmaReturnPathReaderTests
{
    private static readonly byte[] s_said = [0, 1, 0, 4, 0, 0, 0, 0];

    [Fact]
    public void EachMessageIsAskedForWithOneReady()
    {
        ScriptedLink link = new([ControlMessages.QemuFile(s_said), ControlMessages.QemuFile(s_said)]);
        RdmaReturnPathReader reader = new(link);
        byte[] read = new byte[8];
        Assert.Equal((8, 8, 0), (reader.Read(read), reader.Read(read), reader.Read(read)));
        Assert.Equal([ControlMessageType.Ready, ControlMessageType.Ready, ControlMessageType.Ready], link.Sent.Select(sent => sent.Header.Type));
    }

    [Fact]
    public void WhatArrivedBeforeTheConnectionWasLostIsReadAlsoWhenItCannotBeAskedForAnyMore()
    {
        ScriptedLink link = new([ControlMessages.QemuFile(s_said)]) { IsLost = true };
        RdmaReturnPathReader reader = new(link);
        byte[] read = new byte[8];
        Assert.Equal(8, reader.Read(read));
        Assert.Equal(s_said, read);
        Assert.Equal(0, reader.Read(read));
    }

    [Fact]
    public void ErrorIsTheDestinationsEndAndNoBrokenProtocol()
    {
        RdmaReturnPathReader reader = new(new ScriptedLink([ControlMessages.Of(ControlMessageType.Error)]));
        ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => reader.Read(new byte[8]));
        Assert.Equal(ConnectionLoss.PeerError, lost.Loss);
        Assert.Contains("10.0.0.9:4711 gave up", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatADestinationDoesNotSendIsRefused()
    {
        RdmaReturnPathReader reader = new(new ScriptedLink([ControlMessages.Of(ControlMessageType.Compress)]));
        ControlProtocolException broken = Assert.Throws<ControlProtocolException>(() => reader.Read(new byte[8]));
        Assert.Contains("10.0.0.9:4711 sent Compress (6) of 0 bytes; expected QEMU_FILE", broken.Message, StringComparison.Ordinal);
    }
}
