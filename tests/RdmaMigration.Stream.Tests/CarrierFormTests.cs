using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>What is written when RAM goes beside the stream, and when the destination is to answer.</summary>
public sealed class CarrierFormTests
{
    private const ulong Page = StreamBuilder.Page;

    private static readonly byte[] s_start = StreamBuilder.WithConfiguration()
        .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 4 * Page), ("b", Page)).Hook().ToArray();

    private static readonly byte[] s_end = new StreamBuilder().Eos().Footer(2).Continued(StreamBuilder.End, 2).Hook().ToArray();

    private static readonly byte[] s_devices = new StreamBuilder().Eos().Footer(2)
        .Opened(StreamBuilder.Full, 3, "dev", 0, 1).UInt32(0xfeedface).Footer(3).EndOfFile().ToArray();

    private static readonly byte[] s_description = new StreamBuilder().VmDescription(StreamBuilder.SmallDescription).ToArray();

    [Fact]
    public void Each_HOOK_ends_a_write_and_its_control_phase_runs_before_the_next_one()
    {
        using RecordingHandler handler = new();
        Ladder ladder = new();
        ulong written = ladder.Run(Streams.Load(StreamBuilder.SmallMachine(), handler), new CaptureWriterOptions { Carrier = ladder });

        Assert.Equal(["write", "exchange", "write", "pages", "write", "write"], ladder.Steps);
        Assert.Equal([s_start, s_end, s_devices, s_description], ladder.Writes);
        Assert.Equal((ulong)ladder.Writes.Sum(w => w.Length), written);
        Assert.Same(handler.Blocks, ladder.Exchanged);
    }

    [Fact]
    public void End_marker_and_vmdescription_are_written_separately()
    {
        using RecordingHandler handler = new();
        Ladder ladder = new();
        List<(CaptureStage Stage, int Writes)> stages = [];
        CaptureWriter.Write(
            Streams.Load(StreamBuilder.SmallMachine(), handler),
            ladder,
            new CaptureWriterOptions { Carrier = ladder },
            progress => stages.Add((progress.Stage, ladder.Writes.Count)),
            TestContext.Current.CancellationToken);

        Assert.Equal([(CaptureStage.DeviceState, 2), (CaptureStage.VmDescription, 3), (CaptureStage.Complete, 4)], stages);
        Assert.Equal(0, ladder.Writes[2][^1]);
    }

    [Fact]
    public void Return_path_commands_stand_between_the_configuration_and_the_first_section()
    {
        byte[] commands = new StreamBuilder().Command(1).Command(2, 0, 0, 0, 1).ToArray();
        int beginning = StreamBuilder.WithConfiguration().Length;
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(StreamBuilder.SmallMachine(), handler);

        Ladder ladder = new();
        ladder.Run(stream, new CaptureWriterOptions { Carrier = ladder, OpenReturnPath = true });
        Assert.Equal([.. s_start[..beginning], .. commands, .. s_start[beginning..]], ladder.Writes[0]);

        MemorySink plain = new();
        CaptureWriter.Write(stream, plain, new CaptureWriterOptions { OpenReturnPath = true }, null, TestContext.Current.CancellationToken);
        byte[] ordinary = Streams.Write(stream);
        Assert.Equal([.. ordinary[..beginning], .. commands, .. ordinary[beginning..]], plain.ToArray());
    }

    [Theory]
    [InlineData(true, true, false)]
    [InlineData(false, true, true)]
    [InlineData(true, false, true)]
    public void The_carrier_form_loads_back_as_the_machine_that_was_written(bool footers, bool vmDescription, bool returnPath)
    {
        byte[] original = StreamBuilder.SmallMachine(footers, vmDescription);
        using RecordingHandler first = new();
        CapturedStream stream = Streams.Load(original, first);
        Ladder ladder = new();
        ladder.Run(stream, new CaptureWriterOptions { Carrier = ladder, OpenReturnPath = returnPath });

        RecordingHandler? self = null;
        using RecordingHandler second = new()
        {
            WhenHooked = () =>
            {
                for (int i = 0; i < first.Blocks!.Count && self!.Hooks == 2; i++)
                {
                    int length = (int)first.Blocks[i].Length;
                    first.Blocks[i].Slice(0, length).CopyTo(self.Blocks![i].Slice(0, length));
                }
            },
        };
        self = second;
        CapturedStream again = Streams.Load([.. ladder.Writes.SelectMany(w => w)], second);

        Assert.Equal((2, 1), (second.Hooks, second.RamCompletions));
        Assert.Equal(returnPath ? [MigrationCommand.OpenReturnPath, MigrationCommand.Ping] : [], second.Commands.Select(c => c.Command));
        Assert.Equal(original, Streams.Write(again));
    }

    [Fact]
    public void SWITCHOVER_START_goes_out_before_the_END_section()
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", Page)).Eos().Footer(2).Command(11)
            .Continued(StreamBuilder.End, 2).Zero("a", 0).Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        Ladder ladder = new();
        ladder.Run(Streams.Load(bytes, handler), new CaptureWriterOptions { Carrier = ladder });
        Assert.Equal(new StreamBuilder().Eos().Footer(2).Command(11).Continued(StreamBuilder.End, 2).Hook().ToArray(), ladder.Writes[1]);
    }

    [Fact]
    public void A_block_that_was_left_out_of_the_stream_cannot_go_beside_it()
    {
        byte[] bytes = new StreamBuilder().Header().Configuration("test")
            .Subsection("configuration/capabilities").UInt32(1).Name("x-ignore-shared")
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4)
            .UInt64((2 * Page) | 4).Name("a").UInt64(Page).UInt64(0).Name("b").UInt64(Page).UInt64(Page).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Zero("a", 0).Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);
        Assert.True(stream.IsLeftOut(1));
        Ladder ladder = new();
        Assert.Throws<InvalidOperationException>(() => ladder.Run(stream, new CaptureWriterOptions { Carrier = ladder }));
        Assert.Empty(ladder.Steps);
    }

    [Fact]
    public void Cancelled_while_the_carrier_works_nothing_more_is_written()
    {
        using CancellationTokenSource cancellation = new();
        using RecordingHandler handler = new();
        Ladder ladder = new() { WhenSending = cancellation.Cancel };
        CapturedStream stream = Streams.Load(StreamBuilder.SmallMachine(), handler);
        Assert.Throws<OperationCanceledException>(() =>
            CaptureWriter.Write(stream, ladder, new CaptureWriterOptions { Carrier = ladder }, null, cancellation.Token));
        Assert.Equal([s_start, s_end], ladder.Writes);
    }

    /// <summary>Notes who is called when.</summary>
    private sealed class Ladder : IStreamSink, IRamCarrier
    {
        public List<string> Steps { get; } = [];

        public List<byte[]> Writes { get; } = [];

        public RamBlockList? Exchanged { get; private set; }

        public Action? WhenSending { get; init; }

        public ulong Run(CapturedStream stream, CaptureWriterOptions options) =>
            CaptureWriter.Write(stream, this, options, null, TestContext.Current.CancellationToken);

        public void Write(ReadOnlySpan<byte> bytes)
        {
            Steps.Add("write");
            Writes.Add(bytes.ToArray());
        }

        public void WriteGather(ReadOnlySpan<IoSegment> segments) => Assert.Fail("a page went into the stream");

        public void ExchangeBlocks(RamBlockList blocks)
        {
            Steps.Add("exchange");
            Exchanged = blocks;
        }

        public void SendPages(IPageSet pages, bool isLast)
        {
            Steps.Add("pages");
            WhenSending?.Invoke();
        }
    }
}
