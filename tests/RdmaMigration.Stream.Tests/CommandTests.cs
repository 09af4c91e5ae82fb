using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

public sealed class CommandTests
{
    [Fact]
    public void Commands_of_an_ordinary_migration_reach_the_handler_in_order_with_their_payload()
    {
        byte[] small = StreamBuilder.SmallMachine();
        byte[] advise = [0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x10, 0];
        byte[] bytes = new StreamBuilder()
            .Raw(small[..17])
            .Command(1)
            .Command(2, 0, 0, 0, 1)
            .Command(3)
            .Command(3, advise)
            .Command(8)
            .Raw(small[17..])
            .ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);

        Assert.Equal(
            [
                MigrationCommand.OpenReturnPath,
                MigrationCommand.Ping,
                MigrationCommand.PostcopyAdvise,
                MigrationCommand.PostcopyAdvise,
                MigrationCommand.EnableColo,
            ],
            handler.Commands.Select(c => c.Command));
        Assert.Equal([0, 0, 0, 1], handler.Commands[1].Payload);
        Assert.Equal(advise, handler.Commands[3].Payload);
        Assert.False(stream.HasSwitchoverStart);
        Assert.Equal(small, Streams.Write(stream));
    }

    [Fact]
    public void SWITCHOVER_START_is_reported_and_written_again_before_the_END_section()
    {
        byte[] bytes = new StreamBuilder().Raw(StreamBuilder.SmallMachine()[..FirstEnd]).Command(11).Raw(StreamBuilder.SmallMachine()[FirstEnd..]).ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);

        Assert.True(stream.HasSwitchoverStart);
        Assert.Equal(MigrationCommand.SwitchoverStart, Assert.Single(handler.Commands).Command);
        Assert.Equal(bytes, Streams.Write(stream));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 0)]
    [InlineData(2, 5)]
    [InlineData(3, 8)]
    [InlineData(3, 65535)]
    [InlineData(8, 4)]
    [InlineData(11, 1)]
    public void A_wrong_length_is_refused_without_reading_the_payload(int code, int length)
    {
        StreamFormatException e = Streams.Refused(StreamBuilder.WithConfiguration().Byte(8).UInt16((ushort)code).UInt16((ushort)length).ToArray());
        Assert.Equal(StreamFault.Malformed, e.Fault);
        Assert.Contains($"{length} bytes", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(12)]
    [InlineData(65535)]
    public void An_unknown_command_is_refused_by_number(int code) => Assert.Contains(
        $"unknown command {code}", Streams.Refused(StreamBuilder.WithConfiguration().Command((ushort)code).ToArray()).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(9)]
    [InlineData(10)]
    public void A_switch_to_postcopy_is_refused_in_words(int code)
    {
        StreamFormatException e = Streams.Refused(StreamBuilder.WithConfiguration().Command((ushort)code).ToArray());
        Assert.Equal(StreamFault.Unsupported, e.Fault);
        Assert.Contains("postcopy", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_package_before_memory_is_complete_is_refused_in_a_capture_without_reading_it()
    {
        byte[] stream = StreamBuilder.WithConfiguration().PackageHeader(40).ToArray();
        StreamFormatException e = Streams.Refused(stream);
        Assert.Equal((StreamFault.Unsupported, (ulong)StreamBuilder.WithConfiguration().Length), (e.Fault, e.Offset));
        Assert.Contains("Packaged", e.Message, StringComparison.Ordinal);
    }

    /// <summary>Where the END section of the small machine starts.</summary>
    private static int FirstEnd => StreamBuilder.WithConfiguration()
        .Opened(StreamBuilder.Start, StreamBuilder.RamId, "ram", 0, 4)
            .BlockList(("a", 4 * StreamBuilder.Page), ("b", StreamBuilder.Page))
            .Eos()
            .Footer(StreamBuilder.RamId)
        .Length;
}
