using System.Buffers;
using System.Text;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>Typed devices in a stream: what is written is read again, and what does not fit ends the load.</summary>
public sealed class DeviceStreamTests
{
    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(1)]
    public void Every_kind_of_field_goes_through_a_stream(int mostPerRead)
    {
        SampleDevice source = SampleDevice.Filled();
        SampleDevice destination = SampleDevice.Blank();
        byte[] stream = Typed.Stream(Device.Create(SampleDevice.Description, source));
        Typed.Load(stream, Typed.List(Device.Create(SampleDevice.Description, destination)), mostPerRead);
        Assert.Equal(source.Text(), destination.Text());
        Assert.Equal(["pre_save"], source.Hooks);
        Assert.Equal(["pre_load", "post_load 2"], destination.Hooks);
        Assert.Equal(stream, Typed.Stream(Device.Create(SampleDevice.Description, destination)));
    }

    [Fact]
    public void A_decode_changes_no_field_and_a_commit_changes_all()
    {
        SampleDevice destination = SampleDevice.Blank();
        string before = destination.Text();
        byte[] stream = Typed.Stream(Device.Create(SampleDevice.Description, SampleDevice.Filled()));
        StagedDevice staged = Assert.Single(Typed.Decode(stream, Typed.List(Device.Create(SampleDevice.Description, destination))));
        Assert.Equal(before, destination.Text());
        Assert.Equal(["pre_load"], destination.Hooks);
        Typed.Commit(staged);
        Assert.Equal(SampleDevice.Filled().Text(), destination.Text());
        Assert.Throws<InvalidOperationException>(() => Typed.Commit(staged));
    }

    [Fact]
    public void A_load_and_a_commit_refuse_what_is_not_true_of_the_lock()
    {
        SampleDevice destination = SampleDevice.Blank();
        byte[] stream = Typed.Stream(Device.Create(SampleDevice.Description, SampleDevice.Filled()));
        DeviceList devices = Typed.List(Device.Create(SampleDevice.Description, destination));
        string before = destination.Text();
        StagedDevice staged = Assert.Single(Typed.Decode(stream, devices));
        Assert.Throws<InvalidOperationException>(() => staged.Commit(BigLockState.Held));
        Assert.Throws<InvalidOperationException>(() => staged.Commit(BigLockState.NotHeld));
        using RecordingHandler handler = new();
        using IncomingStream untrue = new(new MemorySource(stream), handler, TestOptions.Stream, devices);
        Assert.Throws<InvalidOperationException>(() => untrue.LoadDevices(BigLockState.Held));
        BlockingCalls.Forbid("the big lock is held");
        try
        {
            Assert.Throws<InvalidOperationException>(() => staged.Commit(BigLockState.NotHeld));
            using IncomingStream held = new(new MemorySource(stream), handler, TestOptions.Stream, devices);
            Assert.Throws<InvalidOperationException>(() => held.LoadDevices(BigLockState.NotHeld));
        }
        finally
        {
            BlockingCalls.Allow();
        }

        Assert.Equal(before, destination.Text());
        Typed.Commit(staged);
        Assert.Equal(SampleDevice.Filled().Text(), destination.Text());
    }

    [Fact]
    public void A_pre_load_that_needs_the_lock_runs_in_the_commit()
    {
        VmStateDescription<SampleDevice> description = SampleDevice.Describe(2, preLoadNeedsLock: true);
        SampleDevice destination = SampleDevice.Blank();
        byte[] stream = Typed.Stream(Device.Create(description, SampleDevice.Filled()));
        StagedDevice staged = Assert.Single(Typed.Decode(stream, Typed.List(Device.Create(description, destination))));
        Assert.Empty(destination.Hooks);
        Typed.Commit(staged);
        Assert.Equal(["pre_load with the lock", "post_load 2"], destination.Hooks);
    }

    [Fact]
    public void An_older_version_lacks_newer_fields_and_leaves_them_alone()
    {
        byte[] stream = Typed.Stream(Device.Create(SampleDevice.Describe(1), SampleDevice.Filled()));
        SampleDevice destination = SampleDevice.Blank();
        Typed.Load(stream, Typed.List(Device.Create(SampleDevice.Description, destination)));
        Assert.Equal((78u, 9u), (destination.Newer, destination.Optional));
        Assert.Equal(["pre_load", "post_load 1"], destination.Hooks);
    }

    [Fact]
    public void A_field_that_another_field_excludes_is_left_alone()
    {
        SampleDevice source = SampleDevice.Filled();
        source.Bool = false;
        SampleDevice destination = SampleDevice.Blank();
        Typed.Load(Typed.Stream(Device.Create(SampleDevice.Description, source)), Typed.List(Device.Create(SampleDevice.Description, destination)));
        Assert.Equal((77u, 10u), (destination.Optional, destination.Newer));
    }

    [Fact]
    public void Devices_are_saved_by_priority_then_in_the_order_of_their_registration()
    {
        static Device Small(string name, int priority) =>
            Device.Create(new VmStateDescription<SamplePart>(name) { Priority = priority }.Integer("a", p => p.A, (p, v) => p.A = v), new SamplePart());
        DeviceList list = Typed.List(Small("last", -1), Small("first", 0), Small("second", 0), Small("bus", 2));
        Assert.Equal(["bus", "first", "second", "last"], list.Select(d => d.Name));
        IReadOnlyList<StagedDevice> staged = Typed.Decode(Typed.Stream([.. list]), list);
        Assert.Equal(["bus", "first", "second", "last"], staged.Select(d => d.Name));
        Assert.Throws<ArgumentException>(() => list.Add(Small("bus", 0)));
    }

    [Fact]
    public void Instances_and_aliases_of_a_name_are_told_apart()
    {
        VmStateDescription<SamplePart> description = new VmStateDescription<SamplePart>("pic").Integer("a", p => p.A, (p, v) => p.A = v);
        SamplePart first = new();
        SamplePart second = new();
        byte[] stream = Typed.Stream(Device.Create(description, new SamplePart { A = 1 }), Device.Create(description, new SamplePart { A = 2 }, instanceId: 9));
        Typed.Load(stream, Typed.List(Device.Create(description, first), Device.Create(description, second, instanceId: 1, aliasId: 9)));
        Assert.Equal((1, 2), (first.A, second.A));
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void A_stream_ends_at_its_end_marker_with_and_without_footers_and_description(bool footers, bool described)
    {
        DeviceList devices = Typed.List(Device.Create(SampleDevice.Description, SampleDevice.Blank()));
        SavedDevices saved = DeviceWriter.Save(devices, footers, Typed.FirstSection, StreamBuilder.Page);
        Assert.Equal(Typed.FirstSection + 1, saved.NextSectionId);
        byte[] stream = described ? Typed.Stream(saved, footers) : Typed.Ram(footers).Raw(saved.Sections.ToArray()).ToArray();
        Assert.Single(Typed.Decode(stream, devices));

        // Nothing behind the last byte that the format promises is waited for.
        PiecewiseSource source = new(described ? [stream] : [stream[..^1], stream[^1..]]);
        using RecordingHandler handler = new();
        using IncomingStream incoming = new(source, handler, TestOptions.Stream, devices);
        Assert.Equal(Timeout.InfiniteTimeSpan, incoming.Patience);
        incoming.LoadDevices(BigLockState.NotHeld);
        Assert.Equal(described ? 1 : 3, source.Reads);
    }

    [Fact]
    public void Devices_may_come_before_and_between_the_sections_of_memory()
    {
        VmStateDescription<SamplePart> description = new VmStateDescription<SamplePart>("early").Integer("a", p => p.A, (p, v) => p.A = v);
        SamplePart first = new();
        SamplePart second = new();
        byte[] stream = StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Full, 9, "early", 0, 0).Byte(1).Footer(9)
            .Opened(StreamBuilder.Start, StreamBuilder.RamId, "ram", 0, 4).BlockList(("a", StreamBuilder.Page)).Eos().Footer(StreamBuilder.RamId)
            .Opened(StreamBuilder.Start, 10, "early", 1, 0).Byte(2).Footer(10)
            .Continued(StreamBuilder.End, StreamBuilder.RamId).Zero("a", 0).Eos().Footer(StreamBuilder.RamId)
            .EndOfFile().ToArray();
        Typed.Load(stream, Typed.List(Device.Create(description, first), Device.Create(description, second, instanceId: 1)));
        Assert.Equal((1, 2), (first.A, second.A));
    }

    [Fact]
    public void The_description_has_the_form_of_QEMU()
    {
        VmStateDescription<SamplePart> description = new VmStateDescription<SamplePart>("two", 3)
            .Integer("a", p => p.A, (p, v) => p.A = v)
            .Integer("a", p => p.B, (p, v) => p.B = v, type: "timer")
            .Unused(2)
            .Struct("nested", SampleDevice.PartDescription, p => p)
            .StructArray("array", 2, SampleDevice.PartDescription, p => [p, p])
            .Subsection(new VmStateDescription<SamplePart>("two/more", 1).Array("x", 2, _ => new ushort[2]));
        SavedDevices saved = DeviceWriter.Save(Typed.List(Device.Create(description, new SamplePart(), 4, "path/two")), true, 0, 4096);
        const string Part = """{"vmsd_name": "sample-part", "version": 1, "fields": """
            + """[{"name": "a", "type": "uint8", "size": 1}, {"name": "b", "type": "int32", "size": 4}]}""";
        Assert.Equal(
            """{"page_size": 4096, "devices": [{"name": "path/two", "instance_id": 4, "vmsd_name": "two", "version": 3, "fields": ["""
            + """{"name": "a[0]", "type": "uint8", "size": 1}, {"name": "a[1]", "type": "timer", "size": 4}, """
            + """{"name": "unused", "type": "unused_buffer", "size": 2}, """
            + """{"name": "nested", "type": "struct", "struct": """ + Part + """, "size": 5}, """
            + """{"name": "array", "array_len": 2, "type": "struct", "struct": """ + Part + """, "size": 5}], "subsections": """
            + """[{"vmsd_name": "two/more", "version": 1, "fields": [{"name": "x", "array_len": 2, "type": "uint16", "size": 2}]}]}]}""",
            Encoding.ASCII.GetString(saved.VmDescription.Span));
    }
}
