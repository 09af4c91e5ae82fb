using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

public sealed class ConfigurationTests
{
    [Fact]
    public void A_wrong_magic_is_refused_at_offset_0_with_what_was_found()
    {
        StreamFormatException e = Streams.Refused(new StreamBuilder().Header(magic: 0x47455420).ToArray());
        Assert.Equal(0UL, e.Offset);
        Assert.Contains("0x47455420", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2u)]
    [InlineData(4u)]
    public void Only_version_3_is_read(uint version) =>
        Assert.Contains($"version {version}", Streams.Refused(new StreamBuilder().Header(version: version).ToArray()).Message, StringComparison.Ordinal);

    [Fact]
    public void The_machine_type_reaches_the_handler_and_the_bytes_are_kept()
    {
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(StreamBuilder.SmallMachine(), handler);

        Assert.Same(handler.Configuration, stream.Configuration);
        Assert.Equal("test", stream.Configuration.MachineType);
        Assert.Equal(4096, stream.Configuration.PageSize);
        Assert.Equal(new StreamBuilder().Configuration("test").ToArray(), stream.Configuration.Encoded.ToArray());
    }

    [Fact]
    public void A_stream_without_configuration_section_loads_with_the_default_page_size()
    {
        byte[] bytes = new StreamBuilder().Header().Raw(StreamBuilder.SmallMachine()[(8 + 9)..]).ToArray();
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler);

        Assert.Null(stream.Configuration.MachineType);
        Assert.Equal(4096, stream.Configuration.PageSize);
        Assert.Equal(bytes, Streams.Write(stream));
    }

    [Fact]
    public void All_known_subsections_are_decoded()
    {
        Guid uuid = new("00112233-4455-6677-8899-aabbccddeeff");
        StreamBuilder b = StreamBuilder.WithConfiguration()
            .Subsection("configuration/target-page-bits").UInt32(16)
            .Subsection("configuration/capabilities").UInt32(1).Name("x-ignore-shared")
            .Subsection("configuration/uuid").Raw(uuid.ToByteArray(bigEndian: true))
            .Raw(0x55);
        using RecordingHandler handler = new();
        Assert.Throws<StreamFormatException>(() => Streams.Load(b.ToArray(), handler));

        Assert.Equal(65536, handler.Configuration!.PageSize);
        Assert.Equal(["x-ignore-shared"], handler.Configuration.Capabilities);
        Assert.True(handler.Configuration.IgnoresShared);
        Assert.Equal(uuid, handler.Configuration.Uuid);
        Assert.Equal(b.ToArray()[8..^1], handler.Configuration.Encoded.ToArray());
    }

    [Theory]
    [InlineData(7u)]
    [InlineData(17u)]
    [InlineData(uint.MaxValue)]
    public void Page_bits_outside_8_to_16_are_refused(uint bits) => Assert.Contains(
        $"{bits} bits",
        Streams.Refused(StreamBuilder.WithConfiguration().Subsection("configuration/target-page-bits").UInt32(bits).ToArray()).Message,
        StringComparison.Ordinal);

    [Fact]
    public void An_unknown_subsection_is_refused_by_name()
    {
        StreamFormatException e = Streams.Refused(StreamBuilder.WithConfiguration().Subsection("configuration/new-thing").ToArray());
        Assert.Equal(StreamFault.Unsupported, e.Fault);
        Assert.Contains("configuration/new-thing", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_subsection_version_is_refused() => Assert.Contains(
        "version 2",
        Streams.Refused(StreamBuilder.WithConfiguration().Subsection("configuration/uuid", version: 2).ToArray()).Message,
        StringComparison.Ordinal);

    [Fact]
    public void A_subsection_that_comes_twice_is_refused() => Assert.Contains(
        "twice",
        Streams.Refused(StreamBuilder.WithConfiguration()
            .Subsection("configuration/uuid").Raw(new byte[16]).Subsection("configuration/uuid").Raw(new byte[16]).ToArray()).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData("mapped-ram", "mapped-ram")]
    [InlineData("something-new", "unknown capability 'something-new'")]
    public void A_capability_that_changes_the_format_is_refused_by_name(string name, string words) => Assert.Contains(
        words,
        Streams.Refused(StreamBuilder.WithConfiguration().Subsection("configuration/capabilities").UInt32(1).Name(name).ToArray()).Message,
        StringComparison.Ordinal);

    [Fact]
    public void A_count_of_capabilities_that_no_QEMU_has_is_refused_before_any_is_read() => Assert.Contains(
        "4294967295 capabilities",
        Streams.Refused(StreamBuilder.WithConfiguration().Subsection("configuration/capabilities").UInt32(uint.MaxValue).ToArray()).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData(0u)]
    [InlineData(256u)]
    [InlineData(uint.MaxValue)]
    public void A_machine_type_of_no_or_too_many_bytes_is_refused(uint length) => Assert.Contains(
        $"machine type of {length} bytes",
        Streams.Refused(new StreamBuilder().Header().Byte(7).UInt32(length).ToArray()).Message,
        StringComparison.Ordinal);

    [Fact]
    public void A_machine_type_that_would_upset_a_terminal_is_refused() =>
        Assert.Contains("1b5b", Streams.Refused(new StreamBuilder().Header().Configuration("\u001b[2J").ToArray()).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(0)]
    [InlineData(-4096)]
    [InlineData(128)]
    [InlineData(5000)]
    [InlineData(131072)]
    public void A_default_page_size_that_no_target_has_is_refused(int size) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => TestOptions.Stream with { TargetPageSize = size });
}
