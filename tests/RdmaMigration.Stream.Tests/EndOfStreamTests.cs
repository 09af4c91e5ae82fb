using System.Buffers;
using System.Text;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

public sealed class EndOfStreamTests
{
    private const int MarkerAndDescription = 1 + 1 + 4;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void After_a_vmdescription_that_lists_every_section_the_source_is_hardly_waited_for(bool footers)
    {
        byte[] bytes = StreamBuilder.SmallMachine(footers);
        using RecordingHandler handler = new();
        (CapturedStream stream, List<TimeSpan> patience) = Watch(handler, bytes);

        Assert.Equal(StreamEnd.VmDescription, stream.WhyEnded);
        Assert.Equal(footers, stream.HasFooters);
        Assert.Equal(StreamBuilder.SmallDescription, Encoding.ASCII.GetString(stream.VmDescription!.Value.Span));
        Assert.Equal(0, stream.DeviceState.ToArray()[^1]);
        Assert.InRange(patience[^1], TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(100));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Without_vmdescription_the_end_of_the_source_ends_the_stream(bool footers)
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(StreamBuilder.SmallMachine(footers, vmDescription: false), handler);

        Assert.Equal(StreamEnd.SourceEnded, stream.WhyEnded);
        Assert.Null(stream.VmDescription);
        Assert.Equal(StreamBuilder.SmallMachine(footers, vmDescription: false), Streams.Write(stream));
    }

    /// <summary>A picture that is black below what looks like the footer of a section that was opened.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Zeros_in_the_state_of_a_device_do_not_end_the_stream(bool footers)
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", StreamBuilder.Page)).Eos().Footer(2, footers)
            .Continued(StreamBuilder.End, 2).PageOf("a", 0, 7).Eos().Footer(2, footers)
            .Opened(StreamBuilder.Full, 9, "gpu", 0, 1).Raw(4, 0, 0, 0, 0, 0x7e).Raw(new byte[17 << 20]).Text("picture").Footer(9, footers)
            .EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();

        Assert.InRange(Streams.Load(bytes, handler).DeviceState.Length, 17 << 20, 18 << 20);
    }

    [Fact]
    public void A_source_of_a_type_that_sends_a_vmdescription_is_waited_for_after_the_end_marker()
    {
        byte[] bytes = StreamBuilder.SmallMachine(vmDescription: false);
        using RecordingHandler handler = new();
        (_, List<TimeSpan> seen) = Watch(handler, bytes[..^1], bytes[^1..]);

        Assert.Equal([Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan, TimeSpan.FromSeconds(30)], seen);
    }

    [Fact]
    public void Every_truncation_of_a_stream_is_an_error_except_after_the_end_marker()
    {
        byte[] bytes = StreamBuilder.SmallMachine();
        int endMarker = bytes.Length - StreamBuilder.SmallDescription.Length - MarkerAndDescription + 1;
        for (int length = 0; length < bytes.Length; length += length is > 300 and < 12000 ? 211 : 1)
        {
            using RecordingHandler handler = new();
            if (length == endMarker)
            {
                Assert.Equal(StreamEnd.SourceEnded, Streams.Load(bytes[..length], handler).WhyEnded);
                continue;
            }

            StreamFormatException e = Assert.Throws<StreamFormatException>(() => Streams.Load(bytes[..length], handler));
            Assert.Equal(StreamFault.Truncated, e.Fault);
            Assert.Equal((ulong)length, e.Offset);
            Assert.Contains("truncated", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Device_bytes_that_look_like_an_end_are_not_one_when_the_source_breaks_off()
    {
        using RecordingHandler handler = new();
        byte[] bytes = Prefix().Opened(StreamBuilder.Full, 3, "dev", 0, 1).Raw(1, 2, 0x7e, 0, 0, 0, 9, 0).ToArray();
        Assert.Equal(StreamFault.Truncated, Assert.Throws<StreamFormatException>(() => Streams.Load(bytes, handler)).Fault);
    }

    [Fact]
    public void Bytes_after_the_vmdescription_are_dropped_and_counted()
    {
        byte[] machine = StreamBuilder.SmallMachine();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load([.. machine, .. new byte[1000]], handler);
        Assert.Equal(1000, stream.TrailingBytes);
        Assert.Equal(machine, Streams.Write(stream));
    }

    [Theory]
    [InlineData("""{"page_size": 4096, "devices": [{"name": "dev", "instance_id": 1, "fields": []}]}""", -1)]
    [InlineData("""{"page_size": 4096, "devices": [{"name": "other", "instance_id": 0, "fields": []}]}""", -1)]
    [InlineData("{}", 30_000)]
    [InlineData("""{"\ud800aaaa": 1, "dev": 2}""", 30_000)]
    [InlineData("""{"page_size": 4096, "devices": []}""", 30_000)]
    public void What_looks_like_an_end_where_a_read_ends_is_not_the_end(string fakeDescription, int milliseconds)
    {
        byte[] fake = new StreamBuilder().Footer(3).EndOfFile().VmDescription(fakeDescription).ToArray();
        string size = (fake.Length + 3).ToString(System.Globalization.CultureInfo.InvariantCulture);
        byte[] beginning = Prefix().Opened(StreamBuilder.Full, 3, "dev", 0, 1).Raw(fake).ToArray();
        byte[] rest = new StreamBuilder().Raw(1, 2, 3).Footer(3).EndOfFile()
            .VmDescription($$"""{"devices": [{"name": "dev", "instance_id": 0, "fields": [{"name": "x", "type": "buffer", "size": {{size}}}]}]}""").ToArray();
        using RecordingHandler handler = new();
        (CapturedStream stream, List<TimeSpan> patience) = Watch(handler, beginning, rest);

        // A list that other sections contradict ends nothing. One that says nothing may be all that the machine sends, and then a source with a return path
        // waits.
        Assert.Equal([Timeout.InfiniteTimeSpan, TimeSpan.FromMilliseconds(milliseconds)], patience[..^1]);
        Assert.Equal([.. beginning, .. rest], Streams.Write(stream));
    }

    [Fact]
    public void A_vmdescription_with_wrong_sizes_and_right_devices_is_the_end_after_a_second()
    {
        byte[] bytes = Prefix().Opened(StreamBuilder.Full, 3, "dev", 0, 1).UInt32(5).Footer(3).Opened(StreamBuilder.Full, 4, "dev", 1, 1).Footer(4).EndOfFile()
            .VmDescription(
                """
                {"devices": [{"name": "early", "instance_id": 0, "fields": []},
                {"name": "dev", "instance_id": 0, "fields": [{"name": "x", "type": "int", "size": 9}]}, {"name": "dev", "instance_id": 1, "fields": []}]}
                """)
            .ToArray();
        using RecordingHandler handler = new();
        Assert.Equal(TimeSpan.FromSeconds(1), Watch(handler, bytes).Patience[^1]);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void Without_a_return_path_only_the_close_ends_the_stream(bool footers, bool vmDescription)
    {
        IncomingStream? incoming = null;
        List<TimeSpan> patience = new();
        PiecewiseSource source = new([StreamBuilder.SmallMachine(footers, vmDescription)], () => patience.Add(incoming!.Patience));
        using RecordingHandler handler = new();
        incoming = new IncomingStream(source, handler, TestOptions.Stream);
        incoming.Load(BigLockState.NotHeld);
        Assert.All(patience, p => Assert.Equal(Timeout.InfiniteTimeSpan, p));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_source_that_should_close_may_be_silent_so_long_behind_a_vmdescription_alone(bool vmDescription)
    {
        IncomingStream? incoming = null;
        List<TimeSpan> patience = new();
        PiecewiseSource source = new([StreamBuilder.SmallMachine(vmDescription: vmDescription)], () => patience.Add(incoming!.Patience));
        using RecordingHandler handler = new();
        incoming = new IncomingStream(source, handler, TestOptions.Stream with { SilenceTimeout = TimeSpan.FromSeconds(7) });
        incoming.Load(BigLockState.NotHeld);
        Assert.Equal([Timeout.InfiniteTimeSpan, vmDescription ? TimeSpan.FromSeconds(7) : Timeout.InfiniteTimeSpan], patience);
    }

    [Fact]
    public void Of_two_vmdescriptions_the_one_at_the_end_counts_though_only_the_first_is_proven()
    {
        byte[] inner = new StreamBuilder().Opened(StreamBuilder.Full, 3, "dev", 0, 1).Byte(1).Footer(3).EndOfFile()
            .VmDescription("""{"devices": [{"name": "dev", "instance_id": 0, "fields": [{"name": "x", "type": "uint8", "size": 1}]}]}""").ToArray();
        byte[] bytes = Prefix().Raw(inner).Raw(1, 2, 3).Footer(3).EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);
        Assert.Equal((0L, 2), (stream.TrailingBytes, stream.VmDescription!.Value.Length));
    }

    [Fact]
    public void A_hostile_stream_of_ends_costs_little_whatever_the_pieces()
    {
        // Each end is followed by one more, so each is compared with all that is before it.
        StreamBuilder b = Prefix().Opened(StreamBuilder.End, 3, "dev", 0, 1);
        for (int i = 0; i < 20_000; i++)
        {
            b.Footer((uint)i).EndOfFile().VmDescription("""{"devices": [{"name": "dev", "instance_id": 0, "fields": []}]}""");
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        System.Diagnostics.Stopwatch clock = System.Diagnostics.Stopwatch.StartNew();
        using RecordingHandler handler = new();
        Assert.Throws<StreamFormatException>(() => Streams.Load(b.Byte(1).ToArray(), handler, mostPerRead: 78));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 32L * b.Length);
    }

    [Fact]
    public void A_file_that_is_padded_with_zeros_ends_where_its_stream_does()
    {
        byte[] machine = StreamBuilder.SmallMachine(vmDescription: false);
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load([.. machine, .. new byte[512]], handler);
        Assert.Equal((StreamEnd.SourceEnded, 512L), (stream.WhyEnded, stream.TrailingBytes));
        Assert.Equal(machine, Streams.Write(stream));
    }

    [Fact]
    public void A_vmdescription_inside_device_state_does_not_end_the_stream()
    {
        byte[] fake = new StreamBuilder().Footer(3).EndOfFile().VmDescription("{\"a\": 1}").ToArray();
        byte[] bytes = Prefix().Opened(StreamBuilder.Full, 3, "dev", 0, 1).Raw(fake).Raw(1, 2, 3).Footer(3).EndOfFile().VmDescription("{}").ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);
        Assert.Equal("{}"u8.ToArray(), stream.VmDescription!.Value.ToArray());
        Assert.Equal(bytes, Streams.Write(stream));
    }

    [Fact]
    public void More_false_beginnings_than_are_remembered_do_not_hide_the_true_end()
    {
        StreamBuilder b = Prefix().Opened(StreamBuilder.Full, 3, "dev", 0, 1);
        for (int i = 0; i < 1000; i++)
        {
            b.Footer(3).EndOfFile().Byte(6).UInt32(0x00ffffff).Text("{");
        }

        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(b.Footer(3).EndOfFile().VmDescription("{}").ToArray(), handler);
        Assert.Equal(StreamEnd.VmDescription, stream.WhyEnded);
    }

    [Fact]
    public void Text_of_right_length_that_is_no_JSON_is_not_a_vmdescription()
    {
        using RecordingHandler handler = new();
        StreamBuilder b = Prefix().EndOfFile().VmDescription("{ not json }");
        Assert.Equal(StreamFault.Truncated, Assert.Throws<StreamFormatException>(() => Streams.Load(b.ToArray(), handler)).Fault);
    }

    [Fact]
    public void A_vmdescription_without_its_opening_brace_is_one()
    {
        using RecordingHandler handler = new();
        byte[] bytes = Prefix().EndOfFile().VmDescription("\"page_size\": 4096, \"devices\": []}").ToArray();
        CapturedStream stream = Streams.Load(bytes, handler);
        Assert.Equal(StreamEnd.VmDescription, stream.WhyEnded);
        Assert.Equal(bytes, Streams.Write(stream));
    }

    [Fact]
    public void A_long_vmdescription_in_small_pieces_is_recognised()
    {
        string json = "{\"devices\": [" + string.Join(", ", Enumerable.Range(0, 20000).Select(i => $"{{\"name\": \"d{i}\"}}")) + "]}";
        byte[] bytes = Prefix().EndOfFile().VmDescription(json).ToArray();
        using RecordingHandler handler = new();
        Assert.Equal(StreamEnd.VmDescription, Streams.Load(bytes, handler, mostPerRead: 7).WhyEnded);
    }

    [Fact]
    public void Device_state_of_many_chunks_is_kept_as_it_came()
    {
        byte[] state = new byte[1_000_003];
        new Random(5).NextBytes(state);
        byte[] bytes = Prefix().Opened(StreamBuilder.Full, 3, "big", 0, 1).Raw(state).Footer(3).EndOfFile().VmDescription("{}").ToArray();
        foreach (int most in new[] { int.MaxValue, 32768, 4097 })
        {
            using RecordingHandler handler = new();
            Assert.Equal(bytes, Streams.Write(Streams.Load(bytes, handler, most)));
        }
    }

    [Fact]
    public void Device_state_beyond_what_stays_in_memory_goes_to_a_file_and_is_the_same()
    {
        byte[] state = new byte[20_000_003];
        new Random(6).NextBytes(state);
        byte[] bytes = Prefix().Opened(StreamBuilder.Full, 3, "big", 0, 1).Raw(state).Footer(3).EndOfFile()
            .VmDescription("""{"devices": [{"name": "big", "instance_id": 0, "fields": [{"name": "x", "type": "buffer", "size": 20000003}]}]}""").ToArray();
        DirectoryInfo directory = Directory.CreateTempSubdirectory("rdmamig-test-");
        try
        {
            using RecordingHandler handler = new();
            IncomingStreamOptions options = TestOptions.Stream with { DeviceStateInMemory = 1 << 20, SpillDirectory = directory.FullName };
            using IncomingStream incoming = new(new MemorySource(bytes), handler, options);
            using CapturedStream stream = incoming.Load(BigLockState.NotHeld);
            Assert.Equal(32L << 20, incoming.SpilledBytes);
            Assert.Empty(directory.EnumerateFileSystemInfos());
            Assert.True(bytes.AsSpan().SequenceEqual(Streams.Write(stream)));
        }
        finally
        {
            directory.Delete();
        }
    }

    [Fact]
    public void Device_state_beyond_its_bound_is_refused_with_the_bound()
    {
        byte[] bytes = Prefix().Opened(StreamBuilder.Full, 3, "big", 0, 1).Raw(new byte[100_000]).Footer(3).EndOfFile().ToArray();
        StreamFormatException e = Streams.Refused(bytes, TestOptions.Stream with { MaxDeviceState = 65536 });
        Assert.Equal(StreamFault.TooLarge, e.Fault);
        Assert.Contains("65536", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_end_marker_before_memory_is_complete_is_refused() => Assert.Equal(
        StreamFault.Incomplete,
        Streams.Refused(
            StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 4096)).Eos().Footer(2).EndOfFile().ToArray(),
            TestOptions.Stream).Fault);

    [Theory]
    [InlineData(0x05)]
    [InlineData(0x06)]
    [InlineData(0x07)]
    [InlineData(0x09)]
    [InlineData(0x7e)]
    [InlineData(0xff)]
    public void An_unknown_section_type_is_refused(int type) => Assert.Contains(
        $"0x{type:x2} is no section type",
        Streams.Refused(StreamBuilder.WithConfiguration().Command(1).Byte((byte)type).ToArray()).Message,
        StringComparison.Ordinal);

    [Fact]
    public void A_load_runs_once()
    {
        using RecordingHandler handler = new();
        IncomingStream incoming = new(new MemorySource(StreamBuilder.SmallMachine()), handler, TestOptions.Stream);
        incoming.Load(BigLockState.NotHeld);
        Assert.Throws<InvalidOperationException>(() => incoming.Load(BigLockState.NotHeld));
    }

    /// <summary>Loads pieces of a source that opened a return path; returns how long it might have been silent before each read.</summary>
    private static (CapturedStream Stream, List<TimeSpan> Patience) Watch(RecordingHandler handler, params byte[][] pieces)
    {
        IncomingStream? incoming = null;
        List<TimeSpan> patience = new();
        int configuration = StreamBuilder.WithConfiguration().Length;
        byte[] first = [.. pieces[0][..configuration], .. new StreamBuilder().Command(1).ToArray(), .. pieces[0][configuration..]];
        PiecewiseSource source = new([first, .. pieces[1..]], () => patience.Add(incoming!.Patience));
        incoming = new IncomingStream(source, handler, TestOptions.Stream);
        return (incoming.Load(BigLockState.NotHeld), patience);
    }

    private static StreamBuilder Prefix() => StreamBuilder.WithConfiguration()
        .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 4096)).Eos().Footer(2).Continued(StreamBuilder.End, 2).Zero("a", 0).Eos().Footer(2);
}
