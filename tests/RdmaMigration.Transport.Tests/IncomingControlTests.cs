using System.Buffers.Binary;
using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

public sealed class IncomingControlTests : IDisposable
{
    private const ulong MiB = 1 << 20;

    private readonly RamBlockList _blocks = RamBlockList.Allocate(
        [new RamBlockDescription("pc.ram", 4 * MiB + 8192), new RamBlockDescription("vga", MiB)], 64 * MiB);
    private readonly RecordingRegistration _registration = new();

    public void Dispose() => _blocks.Dispose();

    [Fact]
    public void Each_message_costs_exactly_one_READY_and_a_response_comes_before_the_next_READY()
    {
        ScriptedLink link = new([
            ControlMessages.Of(ControlMessageType.RamBlocksRequest), ControlMessages.Register(0, 0), ControlMessages.Of(ControlMessageType.RegisterFinished),
            ControlMessages.QemuFile(1, 2, 3)]);
        Assert.Equal(3, Read(link, 16).Length);
        Assert.Equal(
            [
                ControlMessageType.Ready,
                ControlMessageType.RamBlocksResult,
                ControlMessageType.Ready,
                ControlMessageType.RegisterResult,
                ControlMessageType.Ready,
                ControlMessageType.Ready,
            ],
            link.Sent.Select(sent => sent.Header.Type));
    }

    [Fact]
    public void Leftover_bytes_are_handed_out_before_another_READY_is_sent()
    {
        ScriptedLink link = new([ControlMessages.QemuFile(1, 2, 3, 4, 5)]);
        IncomingControl control = Control(link);
        byte[] buffer = new byte[3];
        Assert.Equal(3, control.Read(buffer, Timeout.InfiniteTimeSpan));
        Assert.Equal(new byte[] { 1, 2, 3 }, buffer);
        Assert.Equal(2, control.Read(buffer, Timeout.InfiniteTimeSpan));
        Assert.Equal(new byte[] { 4, 5, 3 }, buffer);
        Assert.Single(link.Sent);
    }

    [Fact]
    public void Dynamic_block_list_is_in_the_sources_order_without_keys()
    {
        ScriptedLink link = new([ControlMessages.Of(ControlMessageType.RamBlocksRequest), ControlMessages.QemuFile(0)]);
        Read(link, 1);
        (ControlHeader header, byte[] payload) = link.Sent[1];
        Assert.Equal(new ControlHeader(64, ControlMessageType.RamBlocksResult, 1), header);
        Assert.Equal(0ul, BinaryPrimitives.ReadUInt64BigEndian(payload.AsSpan(8)));
        Assert.Equal(4 * MiB + 8192, BinaryPrimitives.ReadUInt64BigEndian(payload.AsSpan(16)));
        Assert.Equal(0u, BinaryPrimitives.ReadUInt32BigEndian(payload.AsSpan(24)));
        Assert.Equal(MiB, BinaryPrimitives.ReadUInt64BigEndian(payload.AsSpan(32 + 16)));
    }

    [Fact]
    public void pin_all_answers_the_block_list_with_whole_block_keys()
    {
        ScriptedLink link = new([ControlMessages.Of(ControlMessageType.RamBlocksRequest), ControlMessages.QemuFile(0)]);
        Read(link, 1, pinAll: true);
        Assert.Equal(_registration.Key, BinaryPrimitives.ReadUInt32BigEndian(link.Sent[1].Payload.AsSpan(24)));
        Assert.Equal(["pc.ram whole", "vga whole"], _registration.Calls);
    }

    [Fact]
    public void A_register_request_for_further_chunks_is_met_by_one_key_for_all_of_them()
    {
        ScriptedLink link = new([ControlMessages.Register(MiB + 4096, 0, chunks: 3), ControlMessages.QemuFile(0)]);
        Read(link, 1);
        Assert.Equal(["pc.ram 1-4"], _registration.Calls);
        Assert.Equal(new ControlHeader(16, ControlMessageType.RegisterResult, 1), link.Sent[1].Header);
    }

    [Fact]
    public void COMPRESS_leaves_the_range_zero_and_nothing_else()
    {
        _blocks[1].Slice(0, 8192).Fill(0xff);
        ScriptedLink link = new([ControlMessages.Compress(0, 1, 4096, 4096), ControlMessages.QemuFile(0)]);
        Read(link, 1);
        Assert.All(_blocks[1].Slice(0, 4096).ToArray(), value => Assert.Equal(0xff, value));
        Assert.All(_blocks[1].Slice(4096, 4096).ToArray(), value => Assert.Equal(0, value));
    }

    [Fact]
    public void Unregistering_a_chunk_is_answered()
    {
        ScriptedLink link = new([ControlMessages.Unregister(2, 0), ControlMessages.QemuFile(0)]);
        Read(link, 1);
        Assert.Equal(new ControlHeader(0, ControlMessageType.UnregisterFinished, 1), link.Sent[1].Header);
        Assert.Equal(["pc.ram back 2"], _registration.Calls);
    }

    [Fact]
    public void ERROR_from_the_source_ends_the_read_as_a_lost_connection()
    {
        ConnectionLostException lost = Assert.Throws<ConnectionLostException>(() => Read(new ScriptedLink([ControlMessages.Of(ControlMessageType.Error)]), 1));
        Assert.Equal(ConnectionLoss.PeerError, lost.Loss);
    }

    public static TheoryData<string, byte[]> Broken => new()
    {
        { "16", new byte[15] },
        { "type 0", ControlMessages.Of(ControlMessageType.None) },
        { "type 2", ControlMessages.Of(ControlMessageType.Ready) },
        { "type 12", ControlMessages.Of((ControlMessageType)12) },
        { "0 bytes of stream", ControlMessages.QemuFile() },
        { "a payload of 5 bytes", [.. ControlMessages.QemuFile(1, 2, 3, 4, 5), 6] },
        { "block index 2", ControlMessages.Register(0, 2) },
        { $"less than its length {4 * MiB + 8192}", ControlMessages.Register(4 * MiB + 8192, 0) },
        { "at most 4", ControlMessages.Register(0, 0, chunks: 5) },
        { "at most 4", ControlMessages.Register(0, 0, chunks: ulong.MaxValue) },
        { "0 commands", ControlMessages.Of(ControlMessageType.RegisterRequest, ControlMessages.Command(0, 0, 0), repeat: 0) },
        { "4097 commands", ControlMessages.Of(ControlMessageType.RegisterRequest, ControlMessages.Command(0, 0, 0), repeat: 4097) },
        { "24 bytes for 2 commands", ControlMessages.Of(ControlMessageType.RegisterRequest, ControlMessages.Command(0, 0, 0), repeat: 2) },
        { "inside its length", ControlMessages.Compress(0, 1, MiB, 1) },
        { "inside its length", ControlMessages.Compress(0, 1, ulong.MaxValue, 4096) },
        { "inside its length", ControlMessages.Compress(0, 1, 4096, ulong.MaxValue) },
        { "fill value 7", ControlMessages.Compress(7, 1, 0, 4096) },
        { "23 bytes", ControlMessages.Of(ControlMessageType.Compress, new byte[23]) },
        { "a chunk that is registered", ControlMessages.Unregister(999, 0) },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public void A_broken_message_is_refused_with_the_peer_the_value_and_the_bound(string expected, byte[] message)
    {
        ControlProtocolException refused = Assert.Throws<ControlProtocolException>(() => Read(new ScriptedLink([message]), 1));
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
        Assert.Contains("10.0.0.9:4711", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_about_RAM_before_the_block_list_is_refused()
    {
        ScriptedLink link = new([ControlMessages.Of(ControlMessageType.RamBlocksRequest)]);
        Assert.Throws<ControlProtocolException>(() => new IncomingControl(link, _registration, false).Read(new byte[1], Timeout.InfiniteTimeSpan));
    }

    /// <summary>The block list makes the source owe two messages; before and after them it may be silent.</summary>
    [Theory]
    [InlineData(0, false, ControlMessageType.RamBlocksRequest, 20)]
    [InlineData(1, false, ControlMessageType.RegisterFinished, 20)]
    [InlineData(1, true, ControlMessageType.RegisterFinished, 20 + 19)]
    public void A_source_that_is_silent_at_a_step_of_the_exchange_is_given_up(int messages, bool pinAll, object awaited, int bound)
    {
        byte[][] script = [ControlMessages.Of(ControlMessageType.RamBlocksRequest), ControlMessages.Of(ControlMessageType.RegisterFinished)];
        IncomingControl control = Exchanging(new ScriptedLink(script[..messages]) { IsSilent = true }, pinAll);
        control.SetRamBlocks(_blocks);

        PeerSilentException silent = Assert.Throws<PeerSilentException>(() => control.Read(new byte[1], Timeout.InfiniteTimeSpan));

        Assert.Equal(
            (awaited.ToString(), "10.0.0.9:4711", bound, FailureReason.Timeout),
            (silent.Step, silent.Peer, (int)silent.Bound.TotalMilliseconds, silent.Reason));
    }

    [Fact]
    public void A_source_may_be_silent_before_its_block_list_and_after_the_exchange()
    {
        TimeSpan idle = TimeSpan.FromMilliseconds(60);
        IncomingControl before = Exchanging(new ScriptedLink([]) { IsSilent = true });
        Assert.Equal(0, before.Read(new byte[1], idle));

        IncomingControl after = Exchanging(
            new ScriptedLink([ControlMessages.Of(ControlMessageType.RamBlocksRequest), ControlMessages.Of(ControlMessageType.RegisterFinished)])
            {
                IsSilent = true,
            });
        after.SetRamBlocks(_blocks);
        Assert.Equal(0, after.Read(new byte[1], idle));
    }

    private IncomingControl Exchanging(ScriptedLink link, bool pinAll = false) =>
        new(link, _registration, pinAll) { ExchangeTimeout = TimeSpan.FromMilliseconds(20) };

    private IncomingControl Control(ScriptedLink link, bool pinAll = false)
    {
        IncomingControl control = new(link, _registration, pinAll);
        control.SetRamBlocks(_blocks);
        return control;
    }

    private byte[] Read(ScriptedLink link, int length, bool pinAll = false)
    {
        byte[] buffer = new byte[length];
        return buffer[..Control(link, pinAll).Read(buffer, Timeout.InfiniteTimeSpan)];
    }
}
