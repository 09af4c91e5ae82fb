using System.Runtime.InteropServices;
using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>Streams of a real QEMU, read here and, rewritten, read by a real QEMU.</summary>
[Trait("needs", "qemu")]
public sealed class RealStreamTests
{
    private const int Mebibytes = 32;

    [Theory]
    [InlineData("pc")]
    [InlineData("q35")]
    [InlineData("pc,suppress-vmdesc=on")]
    [InlineData("pc-i440fx-2.3")]
    [InlineData("pc-i440fx-2.2")]
    public async Task A_real_stream_is_read_whole_and_a_real_QEMU_starts_from_what_is_written(string machineType)
    {
        using RealStream real = await RealStream.CaptureAsync(Machine(machineType), null);
        using RecordingHandler handler = new();
        CapturedStream stream = real.Load(handler);

        AssertMemoryIs(real.MemoryFile, stream);
        Assert.Equal(0, handler.Hooks);
        bool old = machineType.StartsWith("pc-i440fx-2", StringComparison.Ordinal);
        Assert.Equal(!old, stream.HasFooters);
        Assert.Equal(old, stream.Configuration.MachineType is null);
        bool suppressed = machineType is "pc,suppress-vmdesc=on" or "pc-i440fx-2.2";
        Assert.Equal(suppressed ? StreamEnd.SourceEnded : StreamEnd.VmDescription, stream.WhyEnded);
        Assert.All(Inspect(real).Devices, d => Assert.Equal(suppressed, d.Problem is not null));
        await AssertRestoresAsync(real, stream);
    }

    /// <summary>Recorded from QEMU 7.2 with capability background-snapshot: there is no END section of "ram".</summary>
    [Fact]
    public async Task A_background_snapshot_is_inspected_and_a_real_QEMU_starts_from_what_is_written()
    {
        using WorkDirectory work = new();
        byte[] bytes = Recorded.Read("background-snapshot-7.2.mig.gz");
        StreamReport report = StreamInspector.Inspect(new MemorySource(bytes), TestOptions.Stream);
        Assert.Equal((StreamEnd.VmDescription, (ulong)bytes.Length), (report.End, report.TotalBytes));
        Assert.Empty(report.Ram.Missing);
        Assert.All(report.Devices, device => Assert.Null(device.Problem));
        using RecordingHandler handler = new();
        CapturedStream stream = Streams.Load(bytes, handler, options: TestOptions.Stream);
        string written = work.File("written");
        WriteTo(written, stream);

        byte[] bios = Streams.Content(stream.RamBlocks.Single(block => block.Name == "pc.bios"));
        string dump = work.File("dump");
        QemuOptions options = new("restored", "pc", Mebibytes) { MemoryFile = "", HasPlainRam = true, Incoming = "defer" };
        await using QemuMachine restored = await QemuMachine.StartAsync(options);
        await restored.Monitor.ExecuteAsync("migrate-incoming", new { uri = $"exec:cat '{written}'" });
        Assert.Equal("completed", (await restored.MigrationEndAsync(0)).Status);
        await restored.Monitor.ExecuteAsync("pmemsave", new { val = 0xfffc0000L, size = bios.Length, filename = dump });
        Assert.Equal(bios, File.ReadAllBytes(dump));
    }

    [Fact]
    public async Task Writing_is_stable_what_was_written_reads_and_writes_the_same()
    {
        using RealStream real = await RealStream.CaptureAsync(Machine("pc"), null);
        using RecordingHandler handler = new();
        byte[] once = Streams.Write(real.Load(handler));
        using RecordingHandler second = new();
        Assert.True(once.AsSpan().SequenceEqual(Streams.Write(Streams.Load(once, second))));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4093)]
    public async Task A_trickle_gives_the_same_machine(int mostPerRead)
    {
        using RealStream real = await RealStream.CaptureAsync(Machine("pc") with { RamMebibytes = 4 }, null);
        using RecordingHandler whole = new();
        using RecordingHandler trickled = new();
        byte[] expected = Streams.Write(real.Load(whole));
        Assert.True(expected.AsSpan().SequenceEqual(Streams.Write(real.Load(trickled, mostPerRead))));
    }

    [Fact]
    public async Task Compressed_pages_of_a_real_source_are_read()
    {
        using RealStream real = await RealStream.CaptureAsync(Machine("pc"), null, "compress");
        StreamReport report = Inspect(real);
        Assert.True(report.Ram.Blocks.Aggregate(0UL, (sum, b) => sum + b.CompressedPages) > 1000);
        using RecordingHandler handler = new();
        AssertMemoryIs(real.MemoryFile, real.Load(handler));
    }

    [Fact]
    public async Task A_real_UUID_is_read()
    {
        const string Uuid = "6f1c2b1e-2c3d-4e5f-8a9b-0c1d2e3f4a5b";
        using RealStream real = await RealStream.CaptureAsync(Machine("pc") with { Extra = ["-uuid", Uuid] }, null, "validate-uuid");
        using RecordingHandler handler = new();
        CapturedStream stream = real.Load(handler);
        Assert.Equal(new Guid(Uuid), stream.Configuration.Uuid);
        await AssertRestoresAsync(real, stream, "validate-uuid");
    }

    [Fact]
    public async Task Memory_that_is_shared_through_a_file_stays_out_of_the_stream()
    {
        using RealStream real = await RealStream.CaptureAsync(Machine("pc"), null, "x-ignore-shared");
        using RecordingHandler handler = new();
        CapturedStream stream = real.Load(handler);

        int ram = Ram(stream);
        Assert.True(stream.IsLeftOut(ram));
        Assert.Equal(1, Enumerable.Range(0, stream.RamBlocks.Count).Count(stream.IsLeftOut));
        Assert.NotNull(stream.Blocks[ram].GuestAddress);
        string written = real.InWorkDirectory("written");
        WriteTo(written, stream);
        string shared = real.InWorkDirectory("shared");
        File.Copy(real.MemoryFile, shared);
        await using QemuMachine restored = await StartAsync(real.Options with { MemoryFile = shared }, written, "x-ignore-shared");
        Assert.Equal(-1, GuestMemory.FirstDifference(real.MemoryFile, shared));
    }

    [Fact]
    public async Task Dirty_bitmaps_between_the_sections_of_memory_are_kept_and_arrive()
    {
        QemuOptions options = Machine("pc") with { Extra = ["-blockdev", "null-co,node-name=disk,size=67108864"] };
        using RealStream real = await RealStream.CaptureAsync(
            options,
            machine => machine.Monitor.ExecuteAsync("block-dirty-bitmap-add", new { node = "disk", name = "changed" }),
            "dirty-bitmaps");
        using RecordingHandler handler = new();
        CapturedStream stream = real.Load(handler);

        Assert.False(stream.SectionsDuringRam.IsEmpty);
        Assert.Equal([MigrationCommand.PostcopyAdvise], handler.Commands.Select(c => c.Command));
        string written = real.InWorkDirectory("written");
        WriteTo(written, stream);
        await using QemuMachine restored = await StartAsync(real.Options with { MemoryFile = real.InWorkDirectory("restored") }, written, "dirty-bitmaps");
        Assert.Contains("\"changed\"", (await restored.Monitor.ExecuteAsync("query-named-block-nodes")).GetRawText(), StringComparison.Ordinal);
        Assert.Equal(-1, GuestMemory.FirstDifference(real.MemoryFile, real.InWorkDirectory("restored")));
    }

    [Theory]
    [InlineData("pc", "pc-i440fx-")]
    [InlineData("q35", "pc-q35-")]
    public async Task Every_device_of_a_real_machine_is_decoded(string machineType, string fullName)
    {
        QemuOptions options = Machine(machineType) with { Extra = ["-device", "virtio-net-pci", "-device", "VGA", "-serial", "null"] };
        using RealStream real = await RealStream.CaptureAsync(options, null);
        StreamReport report = Inspect(real);

        Assert.StartsWith(fullName, report.MachineType, StringComparison.Ordinal);
        Assert.Equal((ulong)new FileInfo(real.File).Length, report.TotalBytes);
        Assert.True(report.Devices.Count > 20);
        Assert.All(report.Devices, d => Assert.Null(d.Problem));
        Assert.All(report.Devices, d => Assert.NotNull(d.State));

        StateReport cpu = report.Devices.Single(d => d.Name == "cpu").State!;
        Assert.Equal("65520", Assert.Single(cpu.Fields.Single(f => f.Name == "env.eip").Values));
        FieldReport registers = cpu.Fields.Single(f => f.Name == "env.regs");
        Assert.Equal(16, registers.Values.Count);
        FieldReport segments = cpu.Fields.Single(f => f.Name == "env.segs");
        Assert.Equal("61440", Assert.Single(segments.Elements[1].Fields.Single(f => f.Name == "selector").Values));

        // The sections fill the stream from the configuration to the end marker, without gap or overlap.
        ulong position = report.Sections[0].Offset;
        foreach (SectionReport section in report.Sections)
        {
            Assert.Equal(position, section.Offset);
            position += section.Length;
        }

        Assert.Equal(report.TotalBytes - (ulong)report.VmDescriptionBytes!.Value - 6, position);

        RamBlockReport ram = report.Ram.Blocks.Single(b => b.Name.EndsWith(QemuOptions.RamBlockName, StringComparison.Ordinal));
        Assert.Equal((ulong)Mebibytes << 20, ram.Length);
        Assert.Equal(ram.Length / 4096, ram.DataPages + ram.ZeroPages);
        Assert.InRange(ram.ZeroShare, 0.5, 0.95);
    }

    [Fact]
    public async Task Without_vmdescription_devices_are_still_told_apart()
    {
        using RealStream described = await RealStream.CaptureAsync(Machine("pc"), null);
        using RealStream bare = await RealStream.CaptureAsync(Machine("pc,suppress-vmdesc=on"), null);
        StreamReport report = Inspect(bare);

        Assert.Equal(Inspect(described).Devices.Select(d => (d.Name, d.InstanceId, d.Length)), report.Devices.Select(d => (d.Name, d.InstanceId, d.Length)));
        Assert.All(report.Devices, d => Assert.Contains("no vmdescription", d.Problem, StringComparison.Ordinal));
    }

    private static QemuOptions Machine(string type) => new("stream", type, Mebibytes) { MemoryFile = "" };

    private static StreamReport Inspect(RealStream real)
    {
        using FileStream file = File.OpenRead(real.File);
        return StreamInspector.Inspect(new FileSource(file), TestOptions.Stream);
    }

    private static int Ram(CapturedStream stream) =>
        Enumerable.Range(0, stream.RamBlocks.Count).Single(i => stream.RamBlocks[i].Name.EndsWith(QemuOptions.RamBlockName, StringComparison.Ordinal));

    private static void AssertMemoryIs(string memoryFile, CapturedStream stream)
    {
        RamBlock block = stream.RamBlocks[Ram(stream)];
        byte[] expected = File.ReadAllBytes(memoryFile);
        Assert.Equal((ulong)expected.Length, block.Length);
        Assert.Equal(expected.Length, block.Slice(0, expected.Length).CommonPrefixLength(expected));
        Assert.True(MemoryMarshal.Cast<byte, ulong>(expected.AsSpan()).ContainsAnyExcept(0UL));
    }

    private static void WriteTo(string path, CapturedStream stream)
    {
        using FileStream file = File.Create(path);
        CaptureWriter.Write(stream, new FileSink(file));
    }

    /// <summary>Writes the machine, starts a QEMU from it, compares the memory, and lets it run.</summary>
    private static async Task AssertRestoresAsync(RealStream real, CapturedStream stream, params string[] capabilities)
    {
        string written = real.InWorkDirectory("written");
        WriteTo(written, stream);
        string memory = real.InWorkDirectory("restored");
        await using QemuMachine restored = await StartAsync(real.Options with { MemoryFile = memory }, written, capabilities);
        Assert.Equal(-1, GuestMemory.FirstDifference(real.MemoryFile, memory));
        await restored.ContinueAsync();
        Assert.Equal("running", await restored.RunStateAsync());
    }

    private static async Task<QemuMachine> StartAsync(QemuOptions options, string capture, params string[] capabilities)
    {
        QemuMachine machine = await QemuMachine.StartAsync(options with { Name = "restored", Incoming = "defer" });
        await machine.SetCapabilitiesAsync([.. capabilities.Select(c => (c, true))]);
        await machine.Monitor.ExecuteAsync("migrate-incoming", new { uri = $"exec:cat '{capture}'" });
        QmpEvent end = await machine.MigrationEndAsync(0);
        Assert.True(end.Status == "completed", machine.Process.Errors);
        return machine;
    }
}
