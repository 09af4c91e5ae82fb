using System.Buffers;
using RdmaMigration.Streams.Tests.VmState;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>The run state that a machine had at its source.</summary>
public sealed class GlobalStateTests
{
    private const uint Id = 9;
    private const int RunStateLength = 100;
    private const int NameLength = 32;
    private const int FooterLength = 5;

    [Theory]
    [InlineData("background-snapshot-7.2.mig.gz", "running")]
    [InlineData("machine-none-7.2.mig.gz", "prelaunch")]
    [InlineData("mega2560-7.2.mig.gz", "prelaunch")]
    [InlineData("mps2-an385-7.2.mig.gz", "prelaunch")]
    public void The_run_state_of_a_recorded_machine_is_found(string recording, string runState)
    {
        using RecordingHandler handler = new();
        using CapturedStream stream = Streams.Load(Recorded.Read(recording), handler, options: TestOptions.Stream);
        Assert.Equal(runState, stream.RunState);
    }

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(4093)]
    public void The_run_state_is_found_behind_many_devices(int mostPerRead)
    {
        byte[] bytes = Typed.Ram().Raw(Recorded.Read("devices-7.2.gz")).ToArray();
        using RecordingHandler handler = new();
        using CapturedStream stream = Streams.Load(bytes, handler, mostPerRead);
        Assert.Equal("running", stream.RunState);
    }

    [Theory]
    [Trait("needs", "qemu")]
    [InlineData("pc", "prelaunch")]
    [InlineData("pc", "running", "cont")]
    [InlineData("q35", "paused", "cont", "stop")]
    [InlineData("pc,suppress-vmdesc=on", "paused", "cont", "stop")]
    [InlineData("pc-i440fx-2.3", "prelaunch")]
    [InlineData("pc-i440fx-2.3", null, "cont", "stop")]
    [InlineData("pc-i440fx-2.2", null, "cont", "stop")]
    public async Task The_run_state_of_a_real_machine_is_found(string machineType, string? runState, params string[] commands)
    {
        using RealStream real = await RealStream.CaptureAsync(new QemuOptions("stream", machineType, 4) { MemoryFile = "" }, async machine =>
        {
            foreach (string command in commands)
            {
                await machine.Monitor.ExecuteAsync(command);
            }
        });
        using RecordingHandler handler = new();
        using CapturedStream stream = real.Load(handler);
        Assert.Equal(runState, stream.RunState);
    }

    [Fact]
    public void A_device_whose_state_looks_like_the_section_is_not_taken_for_it()
    {
        byte[] fake = [0x7e, 0, 0, 0, 3, .. Section("running"), 0x04, 0, 0, 0];
        string json = """{"devices": [{"name": "odd", "instance_id": 0, "fields": [{"name": "x", "type": "buffer", "size": """
            + fake.Length + """}]}, {"name": "globalstate", "instance_id": 0, "fields": [{"name": "x", "type": "buffer", "size": 104}]}]}""";
        byte[] bytes = Typed.Ram().Opened(StreamBuilder.Full, 3, "odd", 0, 1).Raw(fake).Footer(3)
            .Raw(Section("paused")).EndOfFile().VmDescription(json).ToArray();
        Assert.Equal("paused", RunStateOf(bytes));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"devices": [{"name": "other", "instance_id": 0, "fields": []}]}""")]
    public void Without_a_description_of_the_devices_footers_lead_to_the_section(string json)
    {
        StreamBuilder stream = Typed.Ram().Opened(StreamBuilder.Full, 3, "odd", 0, 1).Raw(1, 2, 0x7e, 0, 0, 0, 3, 9).Footer(3)
            .Opened(StreamBuilder.Start, 4, "block", 0, 1).Raw(5).Footer(4).Continued(StreamBuilder.End, 4).Footer(4)
            .Raw(Section("paused")).EndOfFile();
        Assert.Equal("paused", RunStateOf((json.Length == 0 ? stream : stream.VmDescription(json)).ToArray()));
    }

    [Fact]
    public void A_machine_without_the_section_has_no_run_state() => Assert.Null(RunStateOf(StreamBuilder.SmallMachine()));

    [Fact]
    public void Without_footers_and_a_description_the_section_is_not_searched_for()
    {
        byte[] bytes = Typed.Ram(footers: false).Opened(StreamBuilder.Full, 3, "odd", 0, 1).Raw(1, 2).Raw(Section("paused")[..^5]).EndOfFile().ToArray();
        Assert.Null(RunStateOf(bytes));
    }

    public static TheoryData<byte[]> Malformed =>
    [
        Section(""),
        Section(new string('a', 100)),
        Section("Running"),
        Section("a b"),
        Section("paused", version: 2),
        Section("paused", instance: 1),
        Section("paused").Where((_, index) => index != 60).ToArray(),
    ];

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_malformed_section_gives_no_run_state(byte[] section) => Assert.Null(RunStateOf(Typed.Ram().Raw(section).EndOfFile().ToArray()));

    [Fact]
    public void The_longest_run_state_is_read()
    {
        string longest = new('a', 99);
        Assert.Equal(longest, RunStateOf(Typed.Ram().Raw(Section(longest)).EndOfFile().ToArray()));
    }

    [Theory]
    [InlineData("running", "paused")]
    [InlineData("paused", "running")]
    [InlineData("a-state-whose-name-is-longer-than-that", "paused")]
    public void Another_run_state_replaces_the_name_its_size_and_nothing_else(string came, string sent)
    {
        byte[] replaced = Devices(came, flags: 0, stream => stream.DeviceStateIn(sent));
        Assert.Equal(Devices(sent, flags: 0, stream => stream.DeviceState), replaced);
    }

    [Fact]
    public void Flags_behind_the_name_stay_when_the_run_state_is_replaced()
    {
        byte[] replaced = Devices("suspended", flags: 1, stream => stream.DeviceStateIn("paused"));
        Assert.Equal(Devices("paused", flags: 1, stream => stream.DeviceState), replaced);
    }

    [Fact]
    public void A_recorded_machine_is_written_and_read_back_with_another_run_state()
    {
        using RecordingHandler handler = new();
        using CapturedStream stream = Streams.Load(Recorded.Read("background-snapshot-7.2.mig.gz"), handler, options: TestOptions.Stream);
        MemorySink sink = new();
        CaptureWriter.Write(stream, sink, new CaptureWriterOptions { RunState = "paused" }, progress: null);
        Assert.Equal(("running", "paused"), (stream.RunState, RunStateOf(sink.ToArray())));
    }

    [Fact]
    public void A_run_state_is_replaced_only_where_there_is_one()
    {
        using RecordingHandler handler = new();
        using CapturedStream stream = Streams.Load(StreamBuilder.SmallMachine(), handler);
        Assert.Throws<InvalidOperationException>(() => stream.DeviceStateIn("paused"));
    }

    private static byte[] Devices(string runState, byte flags, Func<CapturedStream, ReadOnlySequence<byte>> read)
    {
        byte[] section = Section(runState);
        section[^(FooterLength + RunStateLength - NameLength)] |= flags;
        byte[] bytes = Typed.Ram().Opened(StreamBuilder.Full, 3, "odd", 0, 1).Raw(1, 2).Footer(3).Raw(section)
            .Opened(StreamBuilder.Full, 4, "last", 0, 1).Raw(3).Footer(4).EndOfFile().ToArray();
        using RecordingHandler handler = new();
        using CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream with { AllowsMissingPages = true });
        return read(stream).ToArray();
    }

    private static string? RunStateOf(byte[] bytes)
    {
        using RecordingHandler handler = new();
        using CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream with { AllowsMissingPages = true });
        return stream.RunState;
    }

    private static byte[] Section(string runState, uint instance = 0, uint version = 1) =>
        new StreamBuilder().Opened(StreamBuilder.Full, Id, "globalstate", instance, version)
            .UInt32((uint)runState.Length + 1).Text(runState.PadRight(100, '\0')).Footer(Id).ToArray();
}
