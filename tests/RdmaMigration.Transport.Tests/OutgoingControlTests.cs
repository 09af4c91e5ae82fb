using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>The source's side of the control protocol over memory: the credit rule, and what a destination may not send.</summary>
public sealed class OutgoingControlTests
{
    private static readonly byte[] s_ready = ControlMessages.Of(ControlMessageType.Ready);

    [Fact]
    public void Each_message_waits_for_its_credit()
    {
        ScriptedLink link = new([s_ready, s_ready]);
        OutgoingControl control = new(link);
        control.Send(ControlMessageType.QemuFile, [1]);
        control.Send(ControlMessageType.QemuFile, [2]);
        Assert.Throws<ConnectionLostException>(() => control.Send(ControlMessageType.QemuFile, [3]));
        Assert.Equal(2, link.Sent.Count);
    }

    [Fact]
    public void A_request_returns_its_response()
    {
        ScriptedLink link = new([s_ready, ControlMessages.Of(ControlMessageType.RamBlocksResult, [1, 2, 3])]);
        bool worked = false;
        byte[] response = new OutgoingControl(link)
            .Request(ControlMessageType.RamBlocksRequest, ControlMessageType.RamBlocksResult, () => worked = true, TimeSpan.Zero)
            .ToArray();
        Assert.Equal([1, 2, 3], response);
        Assert.True(worked);
    }

    [Fact]
    public void A_second_READY_before_our_message_is_refused()
    {
        OutgoingControl control = new(new ScriptedLink([s_ready, s_ready]));
        ControlProtocolException broken = Assert.Throws<ControlProtocolException>(control.Pump);
        Assert.Contains("sent Ready (2); expected nothing before our next message", broken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_READY_in_place_of_a_response_is_refused()
    {
        OutgoingControl control = new(new ScriptedLink([s_ready, s_ready]));
        ControlProtocolException broken = Assert.Throws<ControlProtocolException>(() =>
            control.Request(ControlMessageType.RamBlocksRequest, ControlMessageType.RamBlocksResult, () => { }, TimeSpan.Zero).Length);
        Assert.Contains("expected RamBlocksResult", broken.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ControlMessageType.QemuFile)]
    [InlineData(ControlMessageType.RegisterResult)]
    [InlineData(ControlMessageType.RegisterFinished)]
    [InlineData((ControlMessageType)77)]
    public void A_message_that_no_destination_sends_is_refused(object type)
    {
        ControlProtocolException broken = Assert.Throws<ControlProtocolException>(
            new OutgoingControl(new ScriptedLink([ControlMessages.Of((ControlMessageType)type, [1])])).Pump);
        Assert.Contains("10.0.0.9:4711", broken.Message, StringComparison.Ordinal);
        Assert.Contains("expected READY", broken.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ERROR_ends_the_migration_and_names_the_destinations_log()
    {
        ConnectionLostException lost = Assert.Throws<ConnectionLostException>(
            new OutgoingControl(new ScriptedLink([ControlMessages.Of(ControlMessageType.Error, [])])).Pump);
        Assert.Equal(ConnectionLoss.PeerError, lost.Loss);
        Assert.Contains("log", lost.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(15, 1u, "sent 15 bytes; expected 16")]
    [InlineData(16, 0u, "key 0")]
    public void A_register_result_that_cannot_be_used_is_refused(int length, uint key, string expected)
    {
        byte[] result = new byte[16];
        new RegisterResult(key, 0x1000).Write(result);
        ScriptedLink link = new([s_ready]);
        OutgoingControl control = new(link);
        control.Pump();
        control.SendRegister(new RegisterRequest(0, 0, 0));
        link.Add(ControlMessages.Of(ControlMessageType.RegisterResult, result[..length]));
        ControlProtocolException broken = Assert.Throws<ControlProtocolException>(control.Pump);
        Assert.Contains(expected, broken.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, ControlMessageType.Ready, 20)]
    [InlineData(1, ControlMessageType.RamBlocksResult, 50)]
    [InlineData(2, ControlMessageType.Ready, 20)]
    public void A_destination_that_is_silent_at_a_step_of_the_exchange_is_given_up(int messages, object awaited, int bound)
    {
        byte[][] script = [s_ready, ControlMessages.Of(ControlMessageType.RamBlocksResult, [1]), s_ready];
        OutgoingControl control = new(new ScriptedLink(script[..messages]) { IsSilent = true }) { Patience = TimeSpan.FromMilliseconds(20) };

        PeerSilentException silent = Assert.Throws<PeerSilentException>(() =>
        {
            control.Request(
                ControlMessageType.RamBlocksRequest, ControlMessageType.RamBlocksResult, () => { }, work: TimeSpan.FromMilliseconds(30));
            control.Send(ControlMessageType.RegisterFinished, []);
        });

        Assert.Equal(
            (awaited.ToString(), "10.0.0.9:4711", TimeSpan.FromMilliseconds(bound), FailureReason.Timeout),
            (silent.Step, silent.Peer, silent.Bound, silent.Reason));
    }

    [Fact]
    public void A_wait_for_the_close_lasts_until_the_destination_is_gone()
    {
        ScriptedLink link = new([s_ready]);
        new OutgoingControl(link).WaitForClose();
        Assert.False(link.TryReceive());
    }

    [Fact]
    public void Another_count_or_length_of_blocks_is_refused()
    {
        using RamBlockList blocks = RamBlockList.Allocate([new RamBlockDescription("pc.ram", 8 << 20)], ulong.MaxValue);
        byte[] result = new byte[DestinationBlock.Size];
        new DestinationBlock(0x1000, 0, 4 << 20, 0).Write(result);
        Assert.Contains(
            "'pc.ram' has 4194304 bytes at the destination here and 8388608 in the machine",
            Assert.Throws<ControlProtocolException>(() => DestinationBlocks.Parse(result, blocks, pinAll: false, "here")).Message, StringComparison.Ordinal);
        Assert.Contains(
            "has 2 RAM blocks; the machine has 1",
            Assert.Throws<ControlProtocolException>(() => DestinationBlocks.Parse([.. result, .. result], blocks, pinAll: false, "here")).Message,
            StringComparison.Ordinal);
        new DestinationBlock(0x1000, 0, 8 << 20, 0).Write(result);
        Assert.Contains(
            "no key for RAM block 'pc.ram'",
            Assert.Throws<ControlProtocolException>(() => DestinationBlocks.Parse(result, blocks, pinAll: true, "here")).Message, StringComparison.Ordinal);
    }
}
