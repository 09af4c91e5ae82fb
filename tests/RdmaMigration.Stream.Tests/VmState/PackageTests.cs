using System.Buffers;
using System.Text;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>Packages: nested streams whose devices are staged like all others, in memory before any of them is decoded.</summary>
public sealed class PackageTests
{
    private static readonly VmStateDescription<SampleDevice> s_locked = SampleDevice.Describe(2, needsLockToDecode: true);

    /// <summary>A device in a stream: header, state, footer.</summary>
    private static readonly byte[] s_section = Section(Filled());

    /// <summary>Bytes of a section before its device's first byte.</summary>
    private const int DataOffset = 1 + 4 + 1 + 6 + 8;

    private static int Before => Typed.Ram().Length;

    /// <summary>Bytes of the command before a package.</summary>
    private static int Header => new StreamBuilder().PackageHeader(0).Length;

    /// <summary>A stream of these devices: the first half in one package, the others in a second one.</summary>
    internal static byte[] InPackages(params Device[] devices)
    {
        SavedDevices saved = DeviceWriter.Save(Typed.List(devices), footers: true, Typed.FirstSection, StreamBuilder.Page);
        byte[] first = Section(devices[..(devices.Length / 2)]);
        byte[] all = saved.Sections.ToArray();
        string description = Encoding.ASCII.GetString(saved.VmDescription.Span);
        return Typed.Ram().Package(first).Package(all[first.Length..^1]).EndOfFile().VmDescription(description).ToArray();
    }

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(1)]
    public void Devices_in_packages_and_around_them_are_staged_in_stream_order(int mostPerRead)
    {
        SampleDevice[] destinations = [SampleDevice.Blank(), SampleDevice.Blank(), SampleDevice.Blank()];
        byte[] stream = Typed.Ram()
            .Package(Section(Filled(1))).Raw(s_section).Package([.. Section(Filled(2)), 0]).Package().EndOfFile().ToArray();
        DeviceList devices = Typed.List([.. destinations.Select((d, i) => Device.Create(SampleDevice.Description, d, (uint)i))]);
        using RecordingHandler handler = new();
        using IncomingStream incoming = new(new MemorySource(stream, mostPerRead), handler, TestOptions.Stream, devices);
        IReadOnlyList<StagedDevice> staged = incoming.LoadDevices(BigLockState.NotHeld);

        Assert.Equal([1u, 0u, 2u], staged.Select(device => device.InstanceId));
        Assert.Equal([(s_section.Length, true), (s_section.Length + 1, true), (0, true)], handler.Packages);
        Assert.Equal(0, handler.LockedSteps);
        Assert.All(destinations, destination => Assert.NotEqual(SampleDevice.Filled().Text(), destination.Text()));
        foreach (StagedDevice device in staged)
        {
            Typed.Commit(device);
        }

        Assert.All(destinations, destination => Assert.Equal(SampleDevice.Filled().Text(), destination.Text()));
    }

    [Fact]
    public void Commands_in_a_package_reach_the_handler()
    {
        byte[] package = new StreamBuilder().Command(2, 0, 0, 0, 9).Raw(s_section).ToArray();
        using RecordingHandler handler = new();
        using IncomingStream incoming = new(new MemorySource(Typed.Ram().Package(package).EndOfFile().ToArray()), handler, TestOptions.Stream, Sample());
        Assert.Single(incoming.LoadDevices(BigLockState.NotHeld));
        Assert.Equal([MigrationCommand.Packaged, MigrationCommand.Ping], handler.Commands.Select(command => command.Command));
        Assert.Equal([0, 0, 0, 9], handler.Commands[1].Payload);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_first_section_of_a_stream_may_end_a_package_with_and_without_a_footer(bool footers)
    {
        byte[] section = footers ? s_section : s_section[..^5];
        byte[] stream = StreamBuilder.WithConfiguration().Package(section).EndOfFile().ToArray();
        Assert.Single(Typed.Decode(stream, Sample()));
        Assert.Single(Typed.Decode(stream, Sample(), mostPerRead: 1));
    }

    [Fact]
    public void A_package_that_ends_amid_a_section_names_the_field_and_takes_no_byte_from_behind_it()
    {
        byte[] package = s_section[..(DataOffset + 17)];
        byte[] stream = [.. Typed.Ram().Package(package).ToArray(), .. s_section.AsSpan(package.Length), 0];
        StreamFormatException e = Typed.Refused(stream, Sample());
        Assert.Equal(
            (StreamFault.Truncated, "device 'sample' instance 0, field 'uint16'", (ulong)(Before + Header + package.Length)), (e.Fault, e.Step, e.Offset));
        Assert.Contains("the package ends here", e.Message, StringComparison.Ordinal);

        e = Typed.Refused(Typed.Ram().Package(s_section[..^2]).Raw(s_section[^2..]).EndOfFile().ToArray(), Sample());
        Assert.Equal((StreamFault.Truncated, (ulong)(Before + Header + s_section.Length - 2)), (e.Fault, e.Offset));
        Assert.Contains("'sample'", e.Step, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_value_in_a_package_has_its_offset_in_the_stream()
    {
        byte[] package = [.. s_section];
        Convert.FromHexString("deadbeef").CopyTo(package, DataOffset + 18);
        StreamFormatException e = Typed.Refused(Typed.Ram().Package(package).EndOfFile().ToArray(), Sample());
        Assert.Equal("device 'sample' instance 0, field 'uint32'", e.Step);
        Assert.InRange(e.Offset, (ulong)(Before + Header + DataOffset + 18), (ulong)(Before + Header + DataOffset + 22));
    }

    [Fact]
    public void A_stream_that_ends_amid_a_package_is_truncated_there()
    {
        byte[] stream = Typed.Ram().Package(s_section).ToArray()[..^3];
        StreamFormatException e = Typed.Refused(stream, Sample());
        Assert.Equal((StreamFault.Truncated, $"package of {s_section.Length} bytes", (ulong)stream.Length), (e.Fault, e.Step, e.Offset));
    }

    [Fact]
    public void Bytes_behind_the_end_marker_of_a_package_are_refused()
    {
        StreamFormatException e = Typed.Refused(Typed.Ram().Package([.. s_section, 0, 0]).EndOfFile().ToArray(), Sample());
        Assert.Equal((StreamFault.Malformed, "end of package", (ulong)(Before + Header + s_section.Length)), (e.Fault, e.Step, e.Offset));
    }

    [Theory]
    [InlineData((16u << 20) + 1, nameof(StreamFault.TooLarge))]
    [InlineData(uint.MaxValue, nameof(StreamFault.TooLarge))]
    [InlineData(16u << 20, nameof(StreamFault.Truncated))]
    public void A_length_alone_allocates_nothing(uint length, string fault)
    {
        byte[] stream = Typed.Ram().PackageHeader(length).Raw(s_section).ToArray();
        DeviceList devices = Sample();
        Typed.Refused(stream, devices);
        long before = GC.GetAllocatedBytesForCurrentThread();
        StreamFormatException e = Typed.Refused(stream, devices);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Equal((fault, $"package of {length} bytes"), (e.Fault.ToString(), e.Step));
    }

    [Fact]
    public void Packages_together_are_bounded_by_max_device_state()
    {
        IncomingStreamOptions options = TestOptions.Stream with { MaxDeviceState = 2000 };
        byte[] ping = [.. Enumerable.Repeat(new StreamBuilder().Command(2, 0, 0, 0, 1).ToArray(), 100).SelectMany(bytes => bytes)];
        Assert.Equal(900, ping.Length);
        StreamBuilder two = Typed.Ram().Package(ping).Package(ping);
        Assert.Single(Typed.Decode(new StreamBuilder().Raw(two.ToArray()).Raw(s_section).EndOfFile().ToArray(), Sample(), options: options));
        StreamFormatException e = Typed.Refused(two.Package(ping).Raw(s_section).EndOfFile().ToArray(), Sample(), options);
        Assert.Equal((StreamFault.TooLarge, "package of 900 bytes"), (e.Fault, e.Step));
    }

    [Fact]
    public void A_package_within_a_package_is_refused()
    {
        byte[] package = new StreamBuilder().Package(s_section).ToArray();
        StreamFormatException e = Typed.Refused(Typed.Ram().Package(package).EndOfFile().ToArray(), Sample());
        Assert.Equal((StreamFault.Malformed, (ulong)(Before + Header)), (e.Fault, e.Offset));
        Assert.Contains("package within a package", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(StreamBuilder.Start)]
    [InlineData(StreamBuilder.Part)]
    [InlineData(StreamBuilder.End)]
    public void A_section_of_memory_in_a_package_is_refused(byte type)
    {
        StreamBuilder package = type == StreamBuilder.Start
            ? new StreamBuilder().Opened(type, StreamBuilder.RamId, "ram", 0, 4)
            : new StreamBuilder().Continued(type, StreamBuilder.RamId);
        byte[] start = StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Start, StreamBuilder.RamId, "ram", 0, 4).BlockList(("a", StreamBuilder.Page)).Eos().Footer(StreamBuilder.RamId).ToArray();
        byte[] stream = new StreamBuilder().Raw(start).Package(package.Zero("a", 0).Eos().Footer(StreamBuilder.RamId).ToArray()).EndOfFile().ToArray();
        StreamFormatException e = Typed.Refused(stream, Sample());
        Assert.Equal((StreamFault.Malformed, (ulong)(start.Length + Header)), (e.Fault, e.Offset));
        Assert.Contains("'ram'", e.Step, StringComparison.Ordinal);
        Assert.Contains("package", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void A_package_that_switches_to_postcopy_is_refused_in_words(int code)
    {
        byte[] package = new StreamBuilder().Command((ushort)code).Raw(s_section).ToArray();
        StreamFormatException e = Typed.Refused(Typed.Ram().Package(package).EndOfFile().ToArray(), Sample());
        Assert.Equal(StreamFault.Unsupported, e.Fault);
        Assert.Contains("postcopy", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_package_is_not_read_with_the_lock_held()
    {
        byte[] stream = Typed.Ram().Package(s_section).EndOfFile().ToArray();
        using RecordingHandler handler = new();
        using IncomingStream incoming = new(new MemorySource(stream), handler, TestOptions.Stream, Sample());
        BlockingCalls.Forbid("the big lock is held");
        try
        {
            Assert.Throws<InvalidOperationException>(() => incoming.LoadDevices(BigLockState.Held));
        }
        finally
        {
            BlockingCalls.Allow();
        }

        Assert.Empty(handler.Packages);
    }

    [Fact]
    public void A_device_that_needs_the_lock_is_sent_in_a_package_and_decoded_with_the_lock_held()
    {
        SampleDevice destination = SampleDevice.Blank();
        List<bool> mayBlock = [];
        destination.Decoding = () => mayBlock.Add(BlockingCalls.AreAllowed);
        byte[] stream = Typed.Stream(Device.Create(s_locked, SampleDevice.Filled()));
        Assert.Equal(new StreamBuilder().Package(s_section).ToArray(), stream[Before..(Before + Header + s_section.Length)]);

        // Each byte is a read of its own, and none of them is under the lock.
        int reads = 0;
        PiecewiseSource source = new([.. stream.Select(value => new[] { value })], () => reads += BlockingCalls.AreAllowed ? 1 : 1_000_000);
        using RecordingHandler handler = new();
        using IncomingStream incoming = new(source, handler, TestOptions.Stream, Typed.List(Device.Create(s_locked, destination)));
        StagedDevice staged = Assert.Single(incoming.LoadDevices(BigLockState.NotHeld));

        Assert.Equal([false], mayBlock);
        Assert.Equal(1, handler.LockedSteps);
        Assert.InRange(reads, stream.Length, stream.Length + 1);
        Assert.Equal(["pre_load with the lock"], destination.Hooks);
        Assert.NotEqual(SampleDevice.Filled().Text(), destination.Text());
        Typed.Commit(staged);
        Assert.Equal(SampleDevice.Filled().Text(), destination.Text());
        Assert.Equal(["pre_load with the lock", "post_load 2"], destination.Hooks);
    }

    [Fact]
    public void A_device_that_does_not_need_the_lock_is_decoded_without_it_in_a_package_too()
    {
        SampleDevice destination = SampleDevice.Blank();
        List<bool> mayBlock = [];
        destination.Decoding = () => mayBlock.Add(BlockingCalls.AreAllowed);
        byte[] stream = Typed.Stream(Device.Create(s_locked, SampleDevice.Filled()));
        Typed.Load(stream, Typed.List(Device.Create(SampleDevice.Description, destination)));
        Assert.Equal([true], mayBlock);
        Assert.Equal(SampleDevice.Filled().Text(), destination.Text());
    }

    [Fact]
    public void A_device_that_needs_the_lock_is_refused_outside_a_package_before_its_first_byte()
    {
        SampleDevice destination = SampleDevice.Blank();
        byte[] stream = Typed.Stream(Device.Create(SampleDevice.Description, SampleDevice.Filled()))[..(Before + DataOffset)];
        StreamFormatException e = Typed.Refused(stream, Typed.List(Device.Create(s_locked, destination)));
        Assert.Equal((StreamFault.Refused, (ulong)Before), (e.Fault, e.Offset));
        Assert.Contains("device 'sample' instance 0", e.Message, StringComparison.Ordinal);
        Assert.Contains("NeedsLockToDecode", e.Message, StringComparison.Ordinal);
        Assert.Empty(destination.Hooks);
    }

    [Fact]
    public void An_error_of_a_decode_with_the_lock_held_names_the_field()
    {
        byte[] stream = Typed.Stream(Device.Create(s_locked, SampleDevice.Filled()));
        Convert.FromHexString("deadbeef").CopyTo(stream, Before + Header + DataOffset + 18);
        StreamFormatException e = Typed.Refused(stream, Typed.List(Device.Create(s_locked, SampleDevice.Blank())));
        Assert.Equal((StreamFault.Refused, "device 'sample' instance 0, field 'uint32'"), (e.Fault, e.Step));
        Assert.True(BlockingCalls.AreAllowed);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public void A_device_that_needs_the_lock_has_at_most_16_MiB(int more, bool fits)
    {
        int length = (16 << 20) - (1 + 4 + 1 + 3 + 8) - 5 + more;
        VmStateDescription<byte[]> description = new("big") { NeedsLockToDecode = true };
        description.Buffer("bytes", length, bytes => bytes);
        Device device = Device.Create(description, new byte[length]);
        if (fits)
        {
            Assert.Single(Typed.Decode(Typed.Stream(device), Typed.List(device)));
        }
        else
        {
            MigrationException e = Assert.Throws<MigrationException>(() => Typed.Stream(device));
            Assert.Contains("device 'big' instance 0", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_captured_machine_keeps_packages_behind_its_memory_and_its_end_is_proven()
    {
        byte[] stream = Typed.Stream(
            Device.Create(SampleDevice.Description, SampleDevice.Filled()), Device.Create(s_locked, SampleDevice.Filled(), 1));
        using RecordingHandler handler = new();
        using IncomingStream incoming = new(new MemorySource(stream), handler, TestOptions.Stream);
        using CapturedStream captured = incoming.Load(BigLockState.NotHeld);
        Assert.True(incoming.IsComplete);
        Assert.Equal(StreamEnd.VmDescription, captured.WhyEnded);
        Assert.Equal(stream, Streams.Write(captured));
    }

    [Fact]
    public void An_inspection_reports_the_devices_of_packages_before_and_behind_memory()
    {
        byte[] stream = Typed.Stream(Device.Create(s_locked, SampleDevice.Filled()));
        StreamReport report = StreamInspector.Inspect(new MemorySource(stream), TestOptions.Stream);
        DeviceReport device = Assert.Single(report.Devices);
        Assert.Equal(("sample", null, (ulong)(Before + Header + DataOffset)), (device.Name, device.Problem, device.Offset));

        byte[] early = [.. StreamBuilder.WithConfiguration().ToArray(), .. stream.AsSpan(Before, Header + s_section.Length)];
        int ram = StreamBuilder.WithConfiguration().Length;
        byte[] rest = [.. stream.AsSpan(ram, Before - ram), .. stream.AsSpan(Before + Header + s_section.Length)];
        report = StreamInspector.Inspect(new MemorySource(new byte[][] { early, rest }.SelectMany(bytes => bytes).ToArray()), TestOptions.Stream);
        Assert.Equal(["Packaged"], report.Commands);
        Assert.Equal(("sample", null), (Assert.Single(report.Devices).Name, Assert.Single(report.Devices).Problem));
    }

    private static DeviceList Sample() => Typed.List(Device.Create(SampleDevice.Description, SampleDevice.Blank()));

    private static Device Filled(uint instance = 0) => Device.Create(SampleDevice.Description, SampleDevice.Filled(), instance);

    /// <summary>The sections of devices, without the end marker.</summary>
    private static byte[] Section(params Device[] devices) =>
        DeviceWriter.Save(Typed.List(devices), footers: true, Typed.FirstSection, StreamBuilder.Page).Sections.ToArray()[..^1];
}
