using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

public sealed class StreamInspectorTests
{
    private const int Page = StreamBuilder.Page;

    [Fact]
    public void The_machine_its_memory_and_its_sections_are_reported()
    {
        byte[] bytes = StreamBuilder.SmallMachine();
        StreamReport report = Inspect(bytes);

        Assert.Equal("test", report.MachineType);
        Assert.Equal(4096, report.PageSize);
        Assert.True(report.HasFooters);
        Assert.Equal((ulong)bytes.Length, report.TotalBytes);
        Assert.Equal(5UL * Page, report.Ram.TotalLength);
        Assert.Equal(
            [new RamBlockReport("a", 4 * Page, null, null, 2, 2, 0, 0, 0), new RamBlockReport("b", Page, null, null, 1, 0, 0, 0, 0)],
            report.Ram.Blocks);
        Assert.Equal(0.5, report.Ram.Blocks[0].ZeroShare);
        Assert.Equal(["START ram", "END ram", "FULL dev"], report.Sections.Select(s => $"{s.Type} {s.Name}"));
        DeviceReport device = Assert.Single(report.Devices);
        Assert.Equal(("dev", 0u, 1u, 3u, 4UL), (device.Name, device.InstanceId, device.Version, device.SectionId, device.Length));
        Assert.Null(device.Problem);
        Assert.Equal("4277009102", Assert.Single(Assert.Single(device.State!.Fields).Values));
        Assert.Equal(StreamBuilder.SmallDescription.Length, report.VmDescriptionBytes);
    }

    [Theory]
    [InlineData(9, 0, false)]
    [InlineData(10, 0, true)]
    [InlineData(10, 11, false)]
    [InlineData(12, 11, true)]
    public void Pages_scattered_over_a_block_of_any_length_take_bounded_memory(int scattered, ulong ofHost, bool isRefused)
    {
        StreamBuilder stream = StreamBuilder.WithConfiguration().Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", 1UL << 60)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2);
        for (int i = 0; i < scattered; i++)
        {
            stream.Zero("a", (ulong)i << 40);
        }

        byte[] bytes = stream.Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
        IncomingStreamOptions options = TestOptions.Stream with
        {
            MaxPageRecord = 9 * ReceivedPages.LeafBytes,
            MaxPageRecordOfHost = () => ofHost * ReceivedPages.LeafBytes,
        };
        if (isRefused)
        {
            StreamFormatException refused = Assert.Throws<StreamFormatException>(() => StreamInspector.Inspect(new MemorySource(bytes), options));
            Assert.Equal(StreamFault.TooLarge, refused.Fault);
        }
        else
        {
            Assert.Equal((ulong)scattered, Assert.Single(StreamInspector.Inspect(new MemorySource(bytes), options).Ram.Blocks).ZeroPages);
        }
    }

    [Fact]
    public void An_RDMA_stream_shows_its_control_phases_and_commands()
    {
        byte[] bytes = StreamBuilder.WithConfiguration().Command(1)
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", Page)).Hook().Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Hook().Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
        StreamReport report = Inspect(bytes);
        Assert.Equal(2UL, report.Ram.Hooks);
        Assert.Equal(["OpenReturnPath"], report.Commands);
    }

    [Fact]
    public void Guest_memory_is_not_allocated()
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("pc.ram", 1UL << 40)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).PageOf("pc.ram", (1UL << 40) - Page, 7).Eos().Footer(2).EndOfFile().VmDescription("{}").ToArray();
        Assert.Equal(1UL << 40, Inspect(bytes).Ram.TotalLength);
    }

    [Theory]
    [InlineData("uint8", new byte[] { 0xff }, "255")]
    [InlineData("int8", new byte[] { 0xff }, "-1")]
    [InlineData("uint16", new byte[] { 1, 2 }, "258")]
    [InlineData("int16 equal", new byte[] { 0xff, 0xfe }, "-2")]
    [InlineData("int32", new byte[] { 0x80, 0, 0, 0 }, "-2147483648")]
    [InlineData("uint64", new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, "18446744073709551615")]
    [InlineData("timer", new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, "-1")]
    [InlineData("bool", new byte[] { 1 }, "true")]
    [InlineData("bool", new byte[] { 0 }, "false")]
    [InlineData("bool", new byte[] { 2 }, "02")]
    [InlineData("uint24", new byte[] { 1, 2, 3 }, "010203")]
    [InlineData("buffer", new byte[] { 0xca, 0xfe }, "cafe")]
    [InlineData("buffer", new byte[0], "")]
    public void A_value_is_shown_by_its_type(string type, byte[] bytes, string expected) =>
        Assert.Equal(expected, Assert.Single(Field(bytes, $$"""{"name": "f", "type": "{{type}}", "size": {{bytes.Length}}}""").Values));

    [Fact]
    public void A_long_buffer_is_abbreviated_with_its_length()
    {
        string value = Assert.Single(Field(new byte[1000], """{"name": "f", "type": "buffer", "size": 1000}""").Values);
        Assert.Equal(new string('0', 128) + "... (1000 bytes)", value);
    }

    [Fact]
    public void A_long_array_is_counted_and_its_first_elements_shown()
    {
        FieldReport field = Field(new byte[4000], """{"name": "f", "array_len": 1000, "type": "uint32", "size": 4}""");
        Assert.Equal(1000UL, field.Count);
        Assert.Equal(64, field.Values.Count);
    }

    [Fact]
    public void Structs_arrays_of_structs_and_subsections_are_followed()
    {
        const string Description = """
            {"name": "dev", "instance_id": 0, "vmsd_name": "outer", "version": 7, "fields": [
              {"name": "s", "array_len": 2, "type": "struct", "size": 3, "struct": {"vmsd_name": "inner", "version": 1, "fields": [
                 {"name": "x", "type": "uint8", "size": 1},
                 {"name": "t", "type": "tmp", "vmsd_name": "temporary", "version": 0, "fields": [{"name": "y", "type": "uint16", "size": 2}], "size": 2}]}},
              {"name": "e", "index": 5, "type": "uint8", "size": 1}],
             "subsections": [{"vmsd_name": "outer/sub", "version": 2, "fields": [{"name": "z", "type": "uint8", "size": 1}]}]}
            """;
        DeviceReport device = Device(new StreamBuilder().Raw(1, 0, 2, 3, 0, 4, 9).Subsection("outer/sub", 2).Raw(6).ToArray(), Description);

        Assert.Null(device.Problem);
        Assert.Equal("outer", device.State!.Name);
        FieldReport structs = device.State.Fields[0];
        Assert.Equal(["1", "3"], structs.Elements.Select(e => Assert.Single(e.Fields[0].Values)));
        Assert.Equal(["2", "4"], structs.Elements.Select(e => Assert.Single(Assert.Single(e.Fields[1].Elements).Fields[0].Values)));
        Assert.Equal("e[5]", device.State.Fields[1].Name);
        StateReport subsection = Assert.Single(device.State.Subsections);
        Assert.Equal(("outer/sub", 2u), (subsection.Name, subsection.Version));
        Assert.Equal("6", Assert.Single(subsection.Fields[0].Values));
    }

    [Theory]
    [InlineData("""{"name": "dev", "instance_id": 0, "fields": [{"name": "f", "type": "buffer", "size": 3}]}""", "no footer")]
    [InlineData("""{"name": "dev", "instance_id": 0, "fields": [{"name": "f", "type": "buffer", "size": 999999}]}""", "999999 bytes are described")]
    [InlineData("""{"name": "dev", "instance_id": 0, "fields": [{"name": "f", "type": "buffer", "size": -1}]}""", "no whole number")]
    [InlineData("""{"name": "dev", "instance_id": 0, "fields": [{"name": "f", "type": "buffer"}]}""", "'size'")]
    [InlineData("""{"name": "dev", "instance_id": 0, "fields": [{"name": "f", "array_len": 4611686018427387904, "type": "buffer", "size": 4}]}""", "described")]
    [InlineData("""{"name": "dev", "instance_id": 0, "fields": "none"}""", "no list of objects")]
    [InlineData("""{"name": "dev", "instance_id": 0, "subsections": [{"vmsd_name": "dev/sub", "version": 1, "fields": []}]}""", "dev/sub")]
    [InlineData("""{"name": "dev", "instance_id": 0, "fields": [{"name": "\ud800", "type": "uint32", "size": 4}]}""", "no valid text")]
    [InlineData(
        """{"name": "dev", "instance_id": 0, "fields": [{"name": "f", "size": 4, "type": "struct", "struct": {"vmsd_name": "s", "fields": []}}]}""",
        "its size is given as 4")]
    [InlineData("""{"name": "other", "instance_id": 0}""", "does not list this device")]
    [InlineData("""{"name": "dev", "instance_id": 1}""", "does not list this device")]
    public void A_description_that_does_not_fit_affects_only_its_device(string description, string words)
    {
        byte[] bytes = Prefix()
            .Opened(StreamBuilder.Full, 3, "dev", 0, 1).Raw(1, 2, 3, 4).Footer(3)
            .Opened(StreamBuilder.Full, 4, "next", 0, 1).Raw(5).Footer(4)
            .EndOfFile()
                .VmDescription(Devices(description, """{"name": "next", "instance_id": 0, "fields": [{"name": "f", "type": "uint8", "size": 1}]}"""))
                .ToArray();
        StreamReport report = Inspect(bytes);

        Assert.Equal(["dev", "next"], report.Devices.Select(d => d.Name));
        Assert.Contains(words, report.Devices[0].Problem, StringComparison.Ordinal);
        Assert.Null(report.Devices[0].State);
        Assert.Equal(4UL, report.Devices[0].Length);
        Assert.Null(report.Devices[1].Problem);
    }

    [Fact]
    public void A_short_description_that_makes_very_many_fields_is_a_problem_not_a_flood()
    {
        const string Nothing = """{"name": "n", "type": "buffer", "size": 0}""";
        string fields = string.Join(", ", Enumerable.Repeat(Nothing, 5000).Append("""{"name": "x", "type": "uint8", "size": 1}"""));
        string inner = $$"""{"name": "f", "array_len": 64, "type": "struct", "size": 1, "struct": {"vmsd_name": "s", "fields": [{{fields}}]} }""";
        DeviceReport device = Device(new byte[64], $$"""{"name": "dev", "instance_id": 0, "fields": [{{inner}}]}""");
        Assert.Contains("more than 262144 fields", device.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Early_device_state_is_reported_first_with_its_offset()
    {
        byte[] bytes = StreamBuilder.WithConfiguration()
            .Opened(StreamBuilder.Full, 1, "early", 0, 1).Raw(8).Footer(1)
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", Page)).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).Zero("a", 0).Eos().Footer(2)
            .Opened(StreamBuilder.Full, 3, "late", 0, 1).Raw(9).Footer(3)
            .EndOfFile().VmDescription(Devices(
                """{"name": "early", "instance_id": 0, "fields": [{"name": "f", "type": "uint8", "size": 1}]}""",
                """{"name": "late", "instance_id": 0, "fields": [{"name": "f", "type": "uint8", "size": 1}]}""")).ToArray();
        StreamReport report = Inspect(bytes);

        Assert.Equal(["FULL early", "START ram", "END ram", "FULL late"], report.Sections.Select(s => $"{s.Type} {s.Name}"));
        Assert.Equal(["8", "9"], report.Devices.Select(d => Assert.Single(d.State!.Fields[0].Values)));
        Assert.All(report.Devices, d => Assert.Equal(byte.Parse(d.State!.Fields[0].Values[0], null), bytes[d.Offset]));
    }

    [Fact]
    public void The_report_serialises_with_the_standard_serialiser()
    {
        string json = JsonSerializer.Serialize(Inspect(StreamBuilder.SmallMachine()));
        Assert.Contains("\"MachineType\":\"test\"", json, StringComparison.Ordinal);
        Assert.Contains("\"4277009102\"", json, StringComparison.Ordinal);
    }

    private static StreamReport Inspect(byte[] bytes) => StreamInspector.Inspect(new MemorySource(bytes), TestOptions.Stream);

    private static StreamBuilder Prefix() => StreamBuilder.WithConfiguration()
        .Opened(StreamBuilder.Start, 2, "ram", 0, 4).BlockList(("a", Page)).Eos().Footer(2).Continued(StreamBuilder.End, 2).Zero("a", 0).Eos().Footer(2);

    private static string Devices(params string[] devices) => $$"""{"page_size": 4096, "devices": [{{string.Join(", ", devices)}}]}""";

    private static DeviceReport Device(byte[] state, string description) => Assert.Single(
        Inspect(Prefix().Opened(StreamBuilder.Full, 3, "dev", 0, 1).Raw(state).Footer(3).EndOfFile().VmDescription(Devices(description)).ToArray()).Devices);

    private static FieldReport Field(byte[] state, string field)
    {
        DeviceReport device = Device(state, $$"""{"name": "dev", "instance_id": 0, "fields": [{{field}}]}""");
        Assert.Null(device.Problem);
        return Assert.Single(device.State!.Fields);
    }
}
