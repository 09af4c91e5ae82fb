using System.Buffers;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>Sections of other handlers before guest memory is complete: kept whole where their end can be found, refused by name where not.</summary>
public sealed class OtherSectionTests
{
    private const byte Start = StreamBuilder.Start, Part = StreamBuilder.Part, End = StreamBuilder.End, Full = StreamBuilder.Full;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Device_state_before_memory_is_kept_and_written_before_it(bool footers)
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(Full, 1, "virtio-mem-early", 3, 1).Raw(1, 2, 3, 1, 0, 0, 0, 2, 3).Text("ra").Footer(1, footers)
            .Opened(Start, 2, "block", 0, 1).Raw(9).Footer(2, footers)
            .Raw(Memory(5, footers)).EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);

        Assert.False(stream.SectionsBeforeRam.IsEmpty);
        Assert.Equal(5u, stream.RamSectionId);
        Assert.Equal(0x66, handler.Blocks![0].Slice(0, 1)[0]);
        Assert.Equal(bytes, Streams.Write(stream));
    }

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(1)]
    public void Sections_between_those_of_memory_are_kept_whole(int mostPerRead)
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(Start, 2, "ram", 0, 4).BlockList(("a", 4096)).Eos().Footer(2)
            .Opened(Start, 3, "dirty-bitmap", 0, 1).Raw(1, 0x7e, 0, 0, 0, 3, 0x55).Footer(3)
            .Continued(Part, 3).Raw(0x7e, 0x7e, 0, 0, 0).Footer(3)
            .Opened(Full, 4, "virtio-mem-early", 0, 1).Footer(4)
            .Continued(End, 3).Raw(7).Footer(3)
            .Continued(End, 2).PageOf("a", 0, 0x66).Eos().Footer(2)
            .EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, mostPerRead);

        Assert.Equal(0x66, handler.Blocks![0].Slice(0, 1)[0]);
        Assert.Equal(bytes, Streams.Write(stream));
    }

    [Fact]
    public void Without_footers_such_a_section_is_refused_by_name()
    {
        StreamFormatException e = Streams.Refused(StreamBuilder.WithConfiguration()
            .Opened(Start, 2, "ram", 0, 4).BlockList(("a", 4096)).Eos()
            .Opened(Start, 3, "dirty-bitmap", 0, 1).Raw(new byte[100]).ToArray());
        Assert.Equal(StreamFault.Unsupported, e.Fault);
        Assert.Contains("dirty-bitmap", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Such_sections_count_against_the_bound_of_device_state()
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(Start, 2, "ram", 0, 4).BlockList(("a", 4096)).Eos().Footer(2)
            .Opened(Start, 3, "dirty-bitmap", 0, 1).Raw(new byte[5000]).ToArray();
        Assert.Equal(StreamFault.TooLarge, Streams.Refused(bytes, TestOptions.Stream with { MaxDeviceState = 4096 }).Fault);
    }

    [Fact]
    public void Many_such_sections_count_against_the_bound_with_what_each_costs()
    {
        StreamBuilder b = StreamBuilder.WithConfiguration().Opened(Start, 2, "ram", 0, 4).BlockList(("a", 4096)).Eos().Footer(2);
        for (uint i = 3; i < 5000; i++)
        {
            b.Opened(Full, i, "x", 0, 1).Footer(i).Continued(Part, 2).Zero("a", 0).Eos().Footer(2);
        }

        Assert.Equal(StreamFault.TooLarge, Streams.Refused(b.ToArray(), TestOptions.Stream with { MaxDeviceState = 200_000 }).Fault);
    }

    [Fact]
    public void Memory_whose_END_section_never_comes_is_complete_when_its_pages_are()
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(Start, 2, "ram", 0, 4).BlockList(("a", 8192)).Eos().Footer(2)
            .Continued(Part, 2).PageOf("a", 0, 0x66).Zero(null, 4096).Eos().Footer(2)
            .Opened(Full, 3, "dev", 0, 1).UInt32(5).Footer(3).EndOfFile().VmDescription(StreamBuilder.SmallDescription).ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);

        Assert.Equal((StreamEnd.VmDescription, 1, 0L), (stream.WhyEnded, handler.RamCompletions, stream.SectionsDuringRam.Length));
        Assert.Equal(0x66, handler.Blocks![0].Slice(0, 1)[0]);
        Assert.Equal(StreamFault.Incomplete, Streams.Refused([.. WithoutLastPage(bytes)], TestOptions.Stream).Fault);
    }

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(1)]
    public void Memory_that_goes_on_behind_device_sections_is_loaded(int mostPerRead)
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(Start, 2, "ram", 0, 4).BlockList(("a", 8192)).Eos().Footer(2)
            .Continued(Part, 2).PageOf("a", 0, 0x66).Eos().Footer(2)
            .Opened(Full, 3, "dev", 0, 1).Raw(2, 0, 0, 0, 2, 0x7e, 0, 0, 0, 3, 2, 0, 0, 0, 2, 9).Footer(3)
            .Continued(Part, 2).PageOf("a", 4096, 0x77).Eos().Footer(2)
            .Opened(Full, 4, "other", 0, 1).Footer(4).EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, mostPerRead, TestOptions.Stream);

        Assert.Equal((0x66, 0x77), (handler.Blocks![0].Slice(0, 1)[0], handler.Blocks[0].Slice(4096, 1)[0]));
        Assert.Equal(
            new StreamBuilder().Opened(Full, 3, "dev", 0, 1).Raw(2, 0, 0, 0, 2, 0x7e, 0, 0, 0, 3, 2, 0, 0, 0, 2, 9).Footer(3).ToArray(),
            stream.SectionsDuringRam.ToArray());
        Assert.Equal(new StreamBuilder().Opened(Full, 4, "other", 0, 1).Footer(4).EndOfFile().ToArray(), stream.DeviceState.ToArray());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_stream_of_device_state_alone_is_kept_and_written(bool vmDescription)
    {
        StreamBuilder b = StreamBuilder.WithConfiguration().Opened(Full, 3, "dev", 0, 1).UInt32(5).Footer(3).EndOfFile();
        byte[] bytes = (vmDescription ? b.VmDescription(StreamBuilder.SmallDescription) : b).ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);
        Assert.Empty(stream.Blocks);
        Assert.Equal(bytes, Streams.Write(stream));
        Assert.Equal("dev", Assert.Single(StreamInspector.Inspect(new MemorySource(bytes), TestOptions.Stream).Devices).Name);
    }

    [Fact]
    public void A_real_machine_without_memory_is_kept_and_written()
    {
        byte[] bytes = Recorded.Read("machine-none-7.2.mig.gz");
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);
        Assert.Equal(("none", 0), (stream.Configuration.MachineType, stream.Blocks.Count));
        Assert.Equal(StreamEnd.VmDescription, stream.WhyEnded);
        using RecordingHandler again = new();
        Assert.Equal(StreamEnd.VmDescription, Streams.Load(Streams.Write(stream), again, options: TestOptions.Stream).WhyEnded);
    }

    [Fact]
    public void A_second_START_of_memory_is_refused() => Assert.Contains(
        "second START",
        Streams.Refused(StreamBuilder.WithConfiguration()
                .Opened(Start, 2, "ram", 0, 4).BlockList(("a", 4096)).Eos().Footer(2)
                .Opened(Start, 2, "ram", 0, 4).ToArray()).Message,
        StringComparison.Ordinal);

    [Fact]
    public void A_PART_before_any_START_is_refused() => Assert.Contains(
        "before the START", Streams.Refused(StreamBuilder.WithConfiguration().Continued(Part, 2).ToArray()).Message, StringComparison.Ordinal);

    /// <summary>The stream without the entry of its zero page.</summary>
    private static IEnumerable<byte> WithoutLastPage(byte[] bytes)
    {
        byte[] entry = new StreamBuilder().Zero(null, 4096).ToArray();
        int at = bytes.AsSpan().IndexOf(entry);
        return bytes[..at].Concat(bytes[(at + entry.Length)..]);
    }

    private static byte[] Memory(uint id, bool footers) => new StreamBuilder()
        .Opened(Start, id, "ram", 0, 4).BlockList(("a", 4096)).Eos().Footer(id, footers)
        .Continued(End, id).PageOf("a", 0, 0x66).Eos().Footer(id, footers).ToArray();
}
