using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>Devices of a real QEMU 7.2, described with this library: the values are those that others see, and the same bytes come out again.</summary>
public sealed partial class QemuDeviceTests
{
    private const string Disk = "0000:00:02.0/virtio-blk";

    [Fact]
    public void The_clock_of_a_QEMU_goes_there_and_back()
    {
        Rtc rtc = new();
        QemuRecording.Default.RoundTrip(Device.Create(Rtc.Description, rtc));
        IReadOnlyDictionary<string, string> values = QemuRecording.Default.Values("mc146818rtc");
        Assert.StartsWith(Convert.ToHexStringLower(rtc.Cmos.AsSpan(0, 64)), values["cmos_data"], StringComparison.Ordinal);
        AssertEqual(
            values,
            ("cmos_index", rtc.Index), ("periodic_timer", rtc.PeriodicTimer), ("next_periodic_time", rtc.NextPeriodicTime),
            ("irq_coalesced", rtc.IrqCoalesced), ("period", rtc.Period), ("base_rtc", rtc.BaseRtc), ("last_update", rtc.LastUpdate), ("offset", rtc.Offset),
            ("update_timer", rtc.UpdateTimer), ("next_alarm_time", rtc.NextAlarmTime));
        Assert.True(rtc.BaseRtc > 1_700_000_000);
    }

    [Fact]
    public void The_interval_timer_of_a_QEMU_goes_there_and_back()
    {
        Pit pit = new();
        QemuRecording.Default.RoundTrip(Device.Create(Pit.Description, pit));
        IReadOnlyDictionary<string, string> values = QemuRecording.Default.Values("i8254");
        AssertEqual(values, ("channels[0].irq_disabled", pit.IrqDisabled));
        for (int i = 0; i < 3; i++)
        {
            Pit.Channel channel = pit.Channels[i];
            AssertEqual(
                values,
                ($"channels[{i}]/count", channel.Count), ($"channels[{i}]/latched_count", channel.LatchedCount),
                ($"channels[{i}]/count_latched", channel.CountLatched), ($"channels[{i}]/status_latched", channel.StatusLatched),
                ($"channels[{i}]/status", channel.Status), ($"channels[{i}]/read_state", channel.ReadState), ($"channels[{i}]/write_state", channel.WriteState),
                ($"channels[{i}]/write_latch", channel.WriteLatch), ($"channels[{i}]/rw_mode", channel.RwMode), ($"channels[{i}]/mode", channel.Mode),
                ($"channels[{i}]/bcd", channel.Bcd), ($"channels[{i}]/gate", channel.Gate), ($"channels[{i}]/count_load_time", channel.LoadTime),
                ($"channels[{i}]/next_transition_time", channel.NextTransition));
        }

        Assert.Equal(65536, pit.Channels[0].Count);
    }

    [Fact]
    public void Both_interrupt_controllers_of_a_QEMU_go_there_and_back()
    {
        Pic[] pics = [new(), new()];
        QemuRecording.Default.RoundTrip(Device.Create(Pic.Description, pics[0]), Device.Create(Pic.Description, pics[1], 1));
        for (uint i = 0; i < 2; i++)
        {
            AssertEqual(QemuRecording.Default.Values("i8259", i), [.. Pic.Names.Select(name => (name, (object)pics[i][name]))]);
        }

        Assert.Equal((0x08, 0x70), (pics[0]["irq_base"], pics[1]["irq_base"]));
    }

    [Fact]
    public void The_keyboard_controller_of_a_QEMU_with_its_subsection_goes_there_and_back()
    {
        Keyboard keyboard = new();
        QemuRecording.Default.RoundTrip(Device.Create(Keyboard.Description, keyboard));
        AssertEqual(
            QemuRecording.Default.Values("pckbd"),
            ("kbd/write_cmd", keyboard.WriteCommand), ("kbd/status", keyboard.Status), ("kbd/mode", keyboard.Mode), ("kbd/pending_tmp", keyboard.Pending),
            ("kbd/pckbd/extended_state/migration_flags", keyboard.MigrationFlags), ("kbd/pckbd/extended_state/obsrc", keyboard.OutputSource),
            ("kbd/pckbd/extended_state/obdata", keyboard.OutputData), ("kbd/pckbd/extended_state/cbdata", keyboard.ControllerData));
        Assert.True(keyboard.HasExtendedState);
        Assert.Null(keyboard.OutPort);
    }

    [Fact]
    public void Structures_and_integers_that_a_field_counts_go_there_and_back()
    {
        Hpet hpet = new();
        PciBus bus = new();
        QemuRecording.Default.RoundTrip(Device.Create(Hpet.Description, hpet), Device.Create(PciBus.Description, bus));
        IReadOnlyDictionary<string, string> values = QemuRecording.Default.Values("hpet");
        AssertEqual(values, ("num_timers", hpet.Count), ("hpet_counter", hpet.Counter), ("timer[2]/tn", hpet.Timers[2].Number));
        Assert.Equal(values["timer[1]/config"], hpet.Timers[1].Config.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(QemuRecording.Default.Values("PCIBUS")["irq_count"], string.Join(',', bus.Counts));
    }

    [Fact]
    public void A_virtio_device_of_a_QEMU_goes_there_and_back()
    {
        VirtioBlock disk = new();
        QemuRecording.Default.RoundTrip(Device.Create(VirtioBlock.Description, disk, name: Disk));
        Assert.Equal((0x1af4, 0x1001), (BitConverter.ToUInt16(disk.PciConfig, 0), BitConverter.ToUInt16(disk.PciConfig, 2)));
        Assert.Equal(2048UL, BitConverter.ToUInt64(disk.Config, 0));
        VirtioBlock.Queue queue = Assert.Single(disk.Queues);
        Assert.Equal((256u, (ushort)1), (queue.Length, queue.LastAvailable));
        Assert.Equal(queue.Descriptors, disk.ModernQueues[0].Descriptors[0] | ((ulong)disk.ModernQueues[0].Descriptors[1] << 32));
        Assert.Equal(disk.Rings[0].Used, disk.ModernQueues[0].Used[0] | ((ulong)disk.ModernQueues[0].Used[1] << 32));
        Assert.True(disk.ModernQueues[0].IsEnabled);
        Assert.False(disk.ModernQueues[1].IsEnabled);
        Assert.Equal(disk.Features, disk.GuestFeatures[0] | ((ulong)disk.GuestFeatures[1] << 32));
        Assert.True(disk.Started);
    }

    [Fact]
    public void Every_device_of_a_QEMU_goes_there_and_back_with_its_description()
    {
        Device[] devices = QemuRecording.Default.Described();
        Assert.True(devices.Length > 25, $"{devices.Length} devices");
        QemuRecording.Default.RoundTrip(devices);
    }

    [Theory]
    [Trait("needs", "qemu")]
    [InlineData("pc")]
    [InlineData("q35")]
    public async Task Every_device_of_a_machine_with_more_of_them_goes_there_and_back(string machineType)
    {
        QemuOptions options = new("typed", machineType, 16)
        {
            MemoryFile = "",
            Extra =
            [
                "-device", "virtio-net-pci", "-device", "virtio-balloon-pci", "-device", "VGA", "-device", "qemu-xhci", "-device", "e1000", "-serial", "null",
            ],
        };
        using RealStream real = await RealStream.CaptureAsync(options, null);
        QemuRecording recording = Record(real);
        Device[] devices = recording.Described();
        Assert.True(devices.Length > 30, $"{devices.Length} devices");
        recording.RoundTrip(devices);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task A_typed_device_has_the_values_that_the_monitor_shows()
    {
        QemuOptions options = new("typed", "pc", 16)
        {
            MemoryFile = "",
            Extra = ["-blockdev", "null-co,node-name=disk,size=1048576,read-zeroes=on", "-device", "virtio-blk-pci,id=disk,drive=disk"],
        };
        string pics = "";
        JsonElement date = default;
        JsonElement status = default;
        JsonElement queue = default;
        using RealStream real = await RealStream.CaptureAsync(options, async machine =>
        {
            await machine.ContinueAsync();
            DateTime deadline = DateTime.UtcNow.AddSeconds(60);
            while (!await IsDiskInUseAsync(machine))
            {
                Assert.True(DateTime.UtcNow < deadline, "the firmware does not use the disk");
            }

            await machine.Monitor.ExecuteAsync("stop");
            pics = (await machine.Monitor.ExecuteAsync("human-monitor-command", new Dictionary<string, string> { ["command-line"] = "info pic" })).GetString()!;
            date = await machine.Monitor.ExecuteAsync("qom-get", new { path = "/machine", property = "rtc-time" });
            status = await StatusAsync(machine);
            queue = await machine.Monitor.ExecuteAsync("x-query-virtio-queue-status", new { path = "/machine/peripheral/disk/virtio-backend", queue = 0 });
        });
        QemuRecording recording = Record(real);
        Pic[] controllers = [new(), new()];
        Rtc rtc = new();
        Keyboard keyboard = new();
        VirtioBlock disk = new();
        recording.RoundTrip(
            Device.Create(Pic.Description, controllers[0]), Device.Create(Pic.Description, controllers[1], 1), Device.Create(Pit.Description, new Pit()),
            Device.Create(Rtc.Description, rtc), Device.Create(Keyboard.Description, keyboard), Device.Create(VirtioBlock.Description, disk, name: Disk));

        Assert.Equal(2, PicLine().Count(pics));
        foreach (Match line in PicLine().Matches(pics))
        {
            Pic pic = controllers[line.Groups["n"].Value[0] - '0'];
            Assert.Equal(
                line.Groups["values"].Value,
                $"irr={pic["irr"]:x2} imr={pic["imr"]:x2} isr={pic["isr"]:x2} hprio={pic["priority_add"]} irq_base={pic["irq_base"]:x2} "
                + $"rr_sel={pic["read_reg_select"]} elcr={pic["elcr"]:x2} fnm={pic["special_fully_nested_mode"]}");
        }

        static int Bcd(byte value) => (10 * (value >> 4)) + (value & 15);
        Assert.Equal(
            (date.GetProperty("tm_sec").GetInt32(), date.GetProperty("tm_min").GetInt32(), date.GetProperty("tm_hour").GetInt32()),
            (Bcd(rtc.Cmos[0]), Bcd(rtc.Cmos[2]), Bcd(rtc.Cmos[4])));
        Assert.Equal(
            (date.GetProperty("tm_mday").GetInt32(), date.GetProperty("tm_mon").GetInt32(), date.GetProperty("tm_year").GetInt32()),
            (Bcd(rtc.Cmos[7]), Bcd(rtc.Cmos[8]) - 1, Bcd(rtc.Cmos[9]) + (100 * Bcd(rtc.Cmos[0x32])) - 1900));
        Assert.Equal((status.GetProperty("isr").GetInt32(), status.GetProperty("queue-sel").GetInt32()), (disk.Isr, disk.SelectedQueue));
        Assert.Equal(
            (queue.GetProperty("vring-num").GetUInt32(), queue.GetProperty("vring-desc").GetUInt64(), queue.GetProperty("last-avail-idx").GetUInt16()),
            (disk.Queues[0].Length, disk.Queues[0].Descriptors, disk.Queues[0].LastAvailable));
        Assert.Equal(
            (queue.GetProperty("vring-avail").GetUInt64(), queue.GetProperty("vring-used").GetUInt64()), (disk.Rings[0].Available, disk.Rings[0].Used));
    }

    private static async Task<JsonElement> StatusAsync(QemuMachine machine) =>
        await machine.Monitor.ExecuteAsync("x-query-virtio-status", new { path = "/machine/peripheral/disk/virtio-backend" });

    private static async Task<bool> IsDiskInUseAsync(QemuMachine machine) => (await StatusAsync(machine)).GetProperty("started").GetBoolean();

    private static QemuRecording Record(RealStream real)
    {
        byte[] stream = File.ReadAllBytes(real.File);
        StreamReport report = StreamInspector.Inspect(new MemorySource(stream), TestOptions.Stream);
        return new QemuRecording(stream[(int)report.Sections.First(s => s.Type == "FULL").Offset..]);
    }

    private static void AssertEqual(IReadOnlyDictionary<string, string> values, params (string Name, object Value)[] fields) =>
        Assert.All(fields, field => Assert.Equal(values[field.Name], string.Create(CultureInfo.InvariantCulture, $"{field.Value}")));

    [GeneratedRegex(@"pic(?<n>[01]): (?<values>irr=.*?)\r?\n")]
    private static partial Regex PicLine();
}
