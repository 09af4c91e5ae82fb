using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>What a machine's devices do not take ends the load, with the device, the field and the offset.</summary>
public sealed class DeviceRefusalTests
{
    private const int DataOffset = 1 + 4 + 1 + 6 + 8;

    private static readonly byte[] s_stream = Typed.Stream(Device.Create(SampleDevice.Description, SampleDevice.Filled()));

    /// <summary>Offset of the sample's first byte in the stream.</summary>
    private static readonly int s_data = Typed.Ram().ToArray().Length + DataOffset;

    [Fact]
    public void A_device_that_the_machine_does_not_have_is_refused()
    {
        byte[] stream = Typed.Ram().Opened(StreamBuilder.Full, 7, "unheard-of", 3, 1).UInt32(0).Footer(7).EndOfFile().ToArray();
        StreamFormatException e = Typed.Refused(stream, Sample());
        Assert.Equal((StreamFault.Refused, (ulong)Typed.Ram().ToArray().Length), (e.Fault, e.Offset));
        Assert.Contains("'unheard-of' instance 3", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_that_does_not_come_is_missed()
    {
        StreamFormatException e = Typed.Refused(Typed.Ram().EndOfFile().ToArray(), Sample());
        Assert.Equal(StreamFault.Incomplete, e.Fault);
        Assert.Contains("'sample' instance 0", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_that_comes_twice_is_refused()
    {
        byte[] once = s_stream[..(s_stream.Length - 6)];
        int section = Typed.Ram().ToArray().Length;
        StreamFormatException e = Typed.Refused([.. once.AsSpan(0, EndOfDevice()), .. once.AsSpan(section)], Sample());
        Assert.Equal((ulong)EndOfDevice(), e.Offset);
    }

    [Theory]
    [InlineData(3u)]
    [InlineData(0u)]
    public void A_version_outside_those_that_are_read_is_refused(uint version)
    {
        byte[] stream = [.. s_stream];
        stream[s_data - 1] = (byte)version;
        SampleDevice destination = SampleDevice.Blank();
        StreamFormatException e = Typed.Refused(stream, Typed.List(Device.Create(SampleDevice.Description, destination)));
        Assert.Empty(destination.Hooks);
        Assert.Equal((StreamFault.Refused, "device 'sample' instance 0", (ulong)s_data), (e.Fault, e.Step, e.Offset));
        Assert.Contains($"version {version}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_subsection_that_the_device_does_not_have_is_refused()
    {
        byte[] stream = [.. s_stream];
        int name = stream.AsSpan().IndexOf("sample/extra"u8);
        stream[name + 11] = (byte)'b';
        StreamFormatException e = Typed.Refused(stream, Sample());
        Assert.Equal((StreamFault.Refused, (ulong)(name - 2)), (e.Fault, e.Offset));
        Assert.Contains("'sample/extrb'", e.Message, StringComparison.Ordinal);
        stream[name] = (byte)'t';
        Assert.Contains("'tample/extrb'", Typed.Refused(stream, Sample()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_required_subsection_that_is_missing_is_missed()
    {
        SampleDevice source = SampleDevice.Filled();
        source.Extra = 0;
        byte[] stream = Typed.Stream(Device.Create(SampleDevice.Description, source));
        Assert.Single(Typed.Decode(stream, Sample()));
        DeviceList requiring = Typed.List(Device.Create(SampleDevice.Describe(2, requiresExtra: true), SampleDevice.Blank()));
        StreamFormatException e = Typed.Refused(stream, requiring);
        Assert.Equal(StreamFault.Refused, e.Fault);
        Assert.Contains("subsection 'sample/extra' is missing", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("deadbeef", 18, "uint32", true)]
    [InlineData("02", 30, "bool")]
    [InlineData("02", 38, "bools[1]")]
    [InlineData("05", 39, "counted")]
    [InlineData("ffff", 53, "blob")]
    [InlineData("00000004", 85, "counted_parts")]
    [InlineData("ffffffff", 85, "counted_parts")]
    [InlineData("31", 94, "pointers[0]")]
    [InlineData("32", 106, "marked[0]")]
    [InlineData("02", 114, "list[0]")]
    public void A_value_that_a_field_does_not_take_is_refused(string hex, int at, string field, bool byTheDevice = false)
    {
        byte[] stream = [.. s_stream];
        Convert.FromHexString(hex).CopyTo(stream, s_data + at);
        StreamFormatException e = Typed.Refused(stream, Sample());
        Assert.Equal((byTheDevice, $"device 'sample' instance 0, field '{field}'"), (e.Fault == StreamFault.Refused, e.Step));
        Assert.InRange(e.Offset, (ulong)(s_data + at), (ulong)(s_data + at + 4));
    }

    [Fact]
    public void A_list_of_more_elements_than_are_allowed_is_refused()
    {
        SampleDevice source = SampleDevice.Filled();
        byte[] stream = Typed.Stream(Device.Create(SampleDevice.Description, source));
        int list = s_data + 114;
        byte[] element = stream[list..(list + 6)];
        byte[] longer = [.. stream.AsSpan(0, list), .. element, .. element, .. stream.AsSpan(list)];
        StreamFormatException e = Typed.Refused(longer, Sample());
        Assert.Equal("device 'sample' instance 0, field 'list[3]'", e.Step);
        Assert.Contains("more than 3 elements", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stream_that_ends_in_a_field_names_the_field()
    {
        StreamFormatException e = Typed.Refused(s_stream[..(s_data + 17)], Sample());
        Assert.Equal((StreamFault.Truncated, "device 'sample' instance 0, field 'uint16'"), (e.Fault, e.Step));
        e = Typed.Refused(s_stream[..(s_data + 92)], Sample());
        Assert.Equal((StreamFault.Truncated, "device 'sample' instance 0, field 'counted_parts[0].b'"), (e.Fault, e.Step));
    }

    [Fact]
    public void A_count_is_checked_against_the_bound_before_anything_is_allocated()
    {
        VmStateDescription<SampleDevice> description = new VmStateDescription<SampleDevice>("sample")
            .Integer("uint64", d => d.UInt64, (d, v) => d.UInt64 = v)
            .VariableArray("counted", "uint64", int.MaxValue, d => d.Counted, (d, v) => d.Counted = v)
            .VariableBuffer("blob", "uint64", int.MaxValue, d => d.Blob, (d, v) => d.Blob = v);
        IncomingStreamOptions options = TestOptions.Stream with { MaxDeviceState = 1 << 20 };
        (ulong, StreamFault)[] counts = [(1UL << 30, StreamFault.TooLarge), (1UL << 31, StreamFault.Malformed), (ulong.MaxValue, StreamFault.Malformed)];
        foreach ((ulong count, StreamFault fault) in counts)
        {
            byte[] stream = Typed.Ram().Opened(StreamBuilder.Full, 7, "sample", 0, 0).UInt64(count).ToArray();
            DeviceList devices = Typed.List(Device.Create(description, new SampleDevice()));
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Equal(fault, Typed.Refused(stream, devices, options).Fault);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2 << 20);
        }
    }

    [Fact]
    public void Devices_together_are_bounded_by_max_device_state()
    {
        byte[] stream = Typed.Stream(
            Device.Create(SampleDevice.Description, SampleDevice.Filled()), Device.Create(SampleDevice.Description, SampleDevice.Filled(), 1));
        DeviceList devices = Typed.List(
            Device.Create(SampleDevice.Description, SampleDevice.Blank()), Device.Create(SampleDevice.Description, SampleDevice.Blank(), 1));
        Assert.Equal(2, Typed.Decode(stream, devices).Count);
        StreamFormatException e = Typed.Refused(stream, devices, TestOptions.Stream with { MaxDeviceState = 1200 });
        Assert.Equal(StreamFault.TooLarge, e.Fault);
        Assert.StartsWith("device 'sample' instance 1", e.Step, StringComparison.Ordinal);
    }

    [Fact]
    public void A_structure_that_nests_without_end_is_refused()
    {
        VmStateDescription<Node> description = new("node");
        description.List("next", 1, description, n => n.Next, (n, v) => n.Next = v, () => new Node());
        byte[] stream = Typed.Ram().Opened(StreamBuilder.Full, 7, "node", 0, 0).Raw([.. Enumerable.Repeat((byte)1, 100_000)]).ToArray();
        Assert.Contains("nest", Typed.Refused(stream, Typed.List(Device.Create(description, new Node()))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_post_load_that_throws_leaves_every_field_as_it_was()
    {
        SampleDevice destination = SampleDevice.Blank();
        destination.FailsPostLoad = true;
        AssertCommitFails(destination, "device 'sample' instance 0, post_load", (ulong)s_data);
    }

    [Fact]
    public void A_setter_that_throws_leaves_every_field_as_it_was()
    {
        SampleDevice destination = SampleDevice.Blank();
        destination.FailsSetter = true;
        AssertCommitFails(destination, "device 'sample' instance 0, field 'int64'", (ulong)s_data + 7);
    }

    [Fact]
    public void A_post_load_of_a_structure_names_the_structure()
    {
        VmStateDescription<SamplePart> part = new VmStateDescription<SamplePart>("part")
        {
            PostLoad = (p, _) => throw new InvalidOperationException($"{p.A} is odd"),
        }
        .Integer("a", p => p.A, (p, v) => p.A = v);
        VmStateDescription<SampleDevice> description = new VmStateDescription<SampleDevice>("d").StructArray("parts", 2, part, d => d.Parts);
        SampleDevice destination = new() { Parts = { [0] = new SamplePart { A = 8 } } };
        byte[] stream = Typed.Stream(Device.Create(description, SampleDevice.Filled()));
        StagedDevice staged = Assert.Single(Typed.Decode(stream, Typed.List(Device.Create(description, destination))));
        StreamFormatException e = Assert.Throws<StreamFormatException>(() => Typed.Commit(staged));
        Assert.Equal("device 'd' instance 0, post_load of 'parts[0]'", e.Step);
        Assert.Contains("3 is odd", e.Message, StringComparison.Ordinal);
        Assert.Equal(8, destination.Parts[0].A);
    }

    [Fact]
    public void A_pre_load_that_throws_ends_the_load()
    {
        VmStateDescription<SamplePart> description = new VmStateDescription<SamplePart>("d") { PreLoad = _ => throw new InvalidOperationException("not now") }
            .Integer("a", p => p.A, (p, v) => p.A = v);
        byte[] stream = Typed.Ram().Opened(StreamBuilder.Full, 7, "d", 0, 0).Byte(1).Footer(7).EndOfFile().ToArray();
        StreamFormatException e = Typed.Refused(stream, Typed.List(Device.Create(description, new SamplePart())));
        Assert.Equal("device 'd' instance 0, pre_load", e.Step);
    }

    [Fact]
    public void A_device_that_cannot_be_saved_is_named()
    {
        SampleDevice device = SampleDevice.Filled();
        device.Count = 3;
        MigrationException e = Assert.Throws<MigrationException>(() => Typed.Stream(Device.Create(SampleDevice.Description, device)));
        Assert.StartsWith("device 'sample' instance 0, field 'counted': ", e.Message, StringComparison.Ordinal);
        VmStateDescription<SamplePart> failing = new("d") { PreSave = _ => throw new InvalidOperationException("busy") };
        e = Assert.Throws<MigrationException>(() => Typed.Stream(Device.Create(failing, new SamplePart())));
        Assert.Equal("device 'd' instance 0, pre_save: busy", e.Message);
    }

    [Fact]
    public void A_description_with_a_mistake_is_refused_when_it_is_made()
    {
        VmStateDescription<SampleDevice> description = new("d");
        Assert.Throws<ArgumentException>(() => description.VariableBuffer("blob", "length", 9, d => d.Blob, (d, v) => d.Blob = v));
        Assert.Throws<ArgumentException>(() => description.Subsection(new VmStateDescription<SampleDevice>("e/x")));
        Assert.Throws<ArgumentException>(() => description.Bool("", d => d.Bool, (d, v) => d.Bool = v));
        Assert.Throws<ArgumentException>(() => new VmStateDescription<SampleDevice>("d", 1, 2));
        Typed.Stream(Device.Create(description, new SampleDevice()));
        Assert.Throws<InvalidOperationException>(() => description.Bool("late", d => d.Bool, (d, v) => d.Bool = v));
    }

    [Fact]
    public void A_section_of_memory_after_its_end_is_refused()
    {
        byte[] stream = Typed.Ram().Continued(StreamBuilder.Part, StreamBuilder.RamId).Zero("a", 0).Eos().Footer(StreamBuilder.RamId).EndOfFile().ToArray();
        Assert.Equal(StreamFault.Malformed, Typed.Refused(stream, []).Fault);
    }

    private static DeviceList Sample() => Typed.List(Device.Create(SampleDevice.Description, SampleDevice.Blank()));

    private static int EndOfDevice() => s_stream.AsSpan().LastIndexOf((ReadOnlySpan<byte>)[0x7e, 0, 0, 0, (byte)Typed.FirstSection]) + 5;

    private static void AssertCommitFails(SampleDevice destination, string step, ulong offset)
    {
        string before = destination.Text();
        StagedDevice staged = Assert.Single(Typed.Decode(s_stream, Typed.List(Device.Create(SampleDevice.Description, destination))));
        StreamFormatException e = Assert.Throws<StreamFormatException>(() => Typed.Commit(staged));
        Assert.Equal((StreamFault.Refused, step, offset), (e.Fault, e.Step, e.Offset));
        Assert.Contains("the sample refuses", e.Message, StringComparison.Ordinal);
        Assert.IsType<InvalidOperationException>(e.InnerException);
        Assert.Equal(before, destination.Text());
    }

    private sealed class Node
    {
        public IReadOnlyList<Node> Next { get; set; } = [];
    }
}
