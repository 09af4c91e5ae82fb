using System.Buffers;
using System.Diagnostics;
using RdmaMigration.Testing;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>10,000 damaged streams of typed devices: each loads, or is refused by a clear error and no device has a part of it.</summary>
public sealed class DeviceMutationTests
{
    private const int Streams = 10_000;
    private const ulong MaxDeviceState = 1 << 20;

    [Fact]
    public void Ten_thousand_damaged_streams_are_loaded_whole_or_refused_clearly()
    {
        FuzzBase[] bases =
        [
            Base(Typed.Stream(new Machine(0).Samples)),
            Base(Typed.Stream(new Machine(0).Strict)),
            Base(QemuRecording.Default.StreamOf(new Machine(0).OfQemu)),
            Base(Typed.Stream(new Machine(0).Locked)),
            Base(PackageTests.InPackages(new Machine(0).Samples)),
        ];
        int[] taken = new int[3];
        int[] loaded = new int[bases.Length];
        Stopwatch clock = Stopwatch.StartNew();
        for (int seed = 0; seed < Streams; seed++)
        {
            Random random = new(seed);
            int of = random.Next(bases.Length);
            byte[] stream = Mutation.Apply(bases[of], bases[random.Next(bases.Length)].Bytes, random);
            try
            {
                Outcome outcome = Load(stream, machine => machine.Parts[of]);
                taken[(int)outcome]++;
                loaded[of] += outcome is Outcome.Loaded ? 1 : 0;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}, {stream.Length} bytes", e);
            }
        }

        // Some damage is harmless, some shows while the stream is read, some only when it is applied.
        Assert.All(taken, count => Assert.True(count > 20, string.Join(' ', taken)));
        Assert.All(loaded, count => Assert.True(count > 20, string.Join(' ', loaded)));
        TestContext.Current.TestOutputHelper?.WriteLine($"{string.Join(' ', taken)}; loaded by base: {string.Join(' ', loaded)}");
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(60));
    }

    private enum Outcome
    {
        Loaded,
        Refused,
        CommitFailed,
    }

    private static Outcome Load(byte[] stream, Func<Machine, Device[]> part)
    {
        Device[] devices = part(new Machine(7));
        byte[] before = State(devices);
        IReadOnlyList<StagedDevice> staged;
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            staged = Typed.Decode(stream, Typed.List(devices), options: TestOptions.Stream with { MaxDeviceState = MaxDeviceState });
        }
        catch (StreamFormatException e)
        {
            Typed.AssertClear(e, stream.Length);
            Assert.Equal(before, State(devices));
            return Outcome.Refused;
        }
        finally
        {
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, (16 * (long)MaxDeviceState) + (8L * stream.Length));
        }

        Assert.Equal(before, State(devices));
        foreach (StagedDevice device in staged)
        {
            Device committed = devices.Single(d => d.Name == device.Name && d.InstanceId == device.InstanceId);
            byte[] old = State(committed);
            try
            {
                Typed.Commit(device);
            }
            catch (StreamFormatException e)
            {
                Typed.AssertClear(e, stream.Length);
                Assert.StartsWith($"device '{device.Name}' instance {device.InstanceId}", e.Step, StringComparison.Ordinal);
                Assert.Equal(old, State(committed));
                return Outcome.CommitFailed;
            }
        }

        // What was loaded is whole: the devices save it, and others load the same.
        Device[] others = part(new Machine(1));
        Typed.Load(Typed.Stream(devices), Typed.List(others));
        Assert.Equal(State(devices), State(others));
        return Outcome.Loaded;
    }

    private static byte[] State(params Device[] devices) => DeviceWriter.Save(Typed.List(devices), true, Typed.FirstSection, 4096).Sections.ToArray();

    /// <summary>A stream without memory, whose damage is mostly in device state.</summary>
    private static FuzzBase Base(byte[] stream)
    {
        byte[] configuration = StreamBuilder.WithConfiguration().ToArray();
        byte[] bytes = [.. configuration, .. stream.AsSpan(Typed.Ram().Length)];
        int end = bytes.AsSpan().LastIndexOf("{\"page_size\""u8);
        return new FuzzBase(bytes, [.. Enumerable.Range(configuration.Length, end - configuration.Length)]);
    }

    /// <summary>Devices of each kind, with values that depend on a seed.</summary>
    private sealed class Machine(byte seed)
    {
        private static readonly VmStateDescription<SampleDevice> s_strict = new VmStateDescription<SampleDevice>("strict", 2, 1)
        {
            PostLoad = (d, _) => ThrowIf(d.UInt32 != 1, $"{d.UInt32} is not 1"),
        }
        .Integer("a", d => d.UInt32, (d, v) => d.UInt32 = v)
        .Integer("count", d => d.Count, (d, v) => d.Count = v)
        .VariableArray("counted", "count", 200, d => d.Counted, (d, v) => d.Counted = v)
        .Integer("b", d => d.UInt16, (d, v) => d.UInt16 = v > 60000 ? throw new InvalidOperationException($"{v} is too much") : v)
        .List("list", 100, SampleDevice.PartDescription, d => d.List, (d, v) => d.List = v, () => new SamplePart());

        private static readonly VmStateDescription<SampleDevice> s_locked = SampleDevice.Describe(2, needsLockToDecode: true);

        public Device[] Samples { get; } =
            [Device.Create(SampleDevice.Description, Sample(seed, 1)), Device.Create(SampleDevice.Description, Sample(seed, 2), 1)];

        /// <summary>A device that refuses some values when they are applied.</summary>
        public Device[] Strict { get; } =
        [
            Device.Create(
                s_strict, new SampleDevice { UInt32 = 1, Count = 2, Counted = [seed, 2], UInt16 = seed, List = [new() { A = seed }, new() { B = seed }] }),
        ];

        public Device[] OfQemu { get; } =
        [
            Device.Create(Rtc.Description, new Rtc { Index = seed, Cmos = { [5] = seed } }),
            Device.Create(Pit.Description, new Pit { IrqDisabled = seed, Channels = { [2] = new Pit.Channel { Count = seed } } }),
            Device.Create(Pic.Description, new Pic()),
            Device.Create(Pic.Description, new Pic(), 1),
            Device.Create(Keyboard.Description, new Keyboard { Mode = seed, OutPort = seed, HasExtendedState = true }),
            Device.Create(Hpet.Description, new Hpet { Count = 3, Timers = [new(), new(), new() { Fsb = seed }] }),
            Device.Create(PciBus.Description, new PciBus { Counts = [seed, 1, 2, 3] }),
        ];

        /// <summary>Devices that come in a package each.</summary>
        public Device[] Locked { get; } = [Device.Create(s_locked, Sample(seed, 1)), Device.Create(s_locked, Sample(seed, 2), 1)];

        public Device[][] Parts => [Samples, Strict, OfQemu, Locked, Samples];

        private static SampleDevice Sample(byte seed, uint number)
        {
            SampleDevice sample = seed == 0 ? SampleDevice.Filled() : SampleDevice.Blank(value: seed);
            sample.UInt32 = seed + number;
            sample.Parts[0].B = seed;
            return sample;
        }

        private static void ThrowIf(bool isWrong, string why)
        {
            if (isWrong)
            {
                throw new InvalidOperationException(why);
            }
        }
    }
}
