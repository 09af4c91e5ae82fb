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
        QemuRecording qemu = QemuRecording.Default;
        FuzzBase[] bases =
        [
            Base(Typed.Stream([.. new Machine(0).Devices.Take(3)])),
            Base(qemu.StreamOf([.. new Machine(0).Devices.Skip(3)])),
        ];
        int[] taken = new int[3];
        Stopwatch clock = Stopwatch.StartNew();
        for (int seed = 0; seed < Streams; seed++)
        {
            Random random = new(seed);
            int of = random.Next(bases.Length);
            byte[] stream = Mutation.Apply(bases[of], bases[random.Next(bases.Length)].Bytes, random);
            try
            {
                taken[(int)Load(stream, of)]++;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}, {stream.Length} bytes", e);
            }
        }

        // Some damage is harmless, some shows while the stream is read, some only when it is applied.
        Assert.All(taken, count => Assert.True(count > 20, string.Join(' ', taken)));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(60));
    }

    private enum Outcome
    {
        Loaded,
        Refused,
        CommitFailed,
    }

    private static Outcome Load(byte[] stream, int of)
    {
        Machine machine = new(7);
        Device[] devices = of == 0 ? [.. machine.Devices.Take(3)] : [.. machine.Devices.Skip(3)];
        byte[] before = Typed.Stream(devices);
        machine.Forget();
        IReadOnlyList<StagedDevice> staged;
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            staged = Typed.Decode(stream, Typed.List(devices), options: TestOptions.Stream with { MaxDeviceState = MaxDeviceState });
        }
        catch (StreamFormatException e)
        {
            Typed.AssertClear(e, stream.Length);
            Assert.Equal(before, Typed.Stream(devices));
            return Outcome.Refused;
        }
        finally
        {
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, (16 * (long)MaxDeviceState) + (8L * stream.Length));
        }

        Assert.Equal(before, Typed.Stream(devices));
        foreach (StagedDevice device in staged)
        {
            Device committed = devices.Single(d => d.Name == device.Name && d.InstanceId == device.InstanceId);
            byte[] old = Typed.Stream(committed);
            try
            {
                device.Commit();
            }
            catch (StreamFormatException e)
            {
                Typed.AssertClear(e, stream.Length);
                Assert.StartsWith($"device '{device.Name}' instance {device.InstanceId}", e.Step, StringComparison.Ordinal);
                Assert.Equal(old, Typed.Stream(committed));
                return Outcome.CommitFailed;
            }
        }

        // What was loaded is whole: it is a state that the devices can save and load again.
        byte[] after = Typed.Stream(devices);
        Machine again = new(1);
        Device[] others = of == 0 ? [.. again.Devices.Take(3)] : [.. again.Devices.Skip(3)];
        Typed.Load(after, Typed.List(others));
        Assert.Equal(after, Typed.Stream(others));
        return Outcome.Loaded;
    }

    /// <summary>Damages device state: the vmdescription and memory are of others' concern.</summary>
    private static FuzzBase Base(byte[] stream)
    {
        int from = Typed.Ram().ToArray().Length;
        int to = stream.AsSpan().LastIndexOf("{\"page_size\""u8);
        return new FuzzBase(stream, [.. Enumerable.Range(from, Math.Min(to - from, 900))]);
    }

    /// <summary>Devices of each kind; the first three are ours, the others have the layouts of a QEMU.</summary>
    private sealed class Machine
    {
        private readonly SampleDevice[] _samples;

        public Machine(byte seed)
        {
            SampleDevice Sample(int i)
            {
                SampleDevice sample = seed == 0 ? SampleDevice.Filled() : SampleDevice.Blank(value: seed);
                sample.UInt32 = (uint)(seed + i);
                sample.Parts[0].B = seed;
                return sample;
            }

            _samples = [Sample(1), Sample(2), Sample(3)];
            VmStateDescription<SampleDevice> strict = new VmStateDescription<SampleDevice>("strict", 2, 1)
            {
                PostLoad = (d, _) => _ = d.UInt32 % 2 == 1 ? d : throw new InvalidOperationException($"{d.UInt32} is even"),
            }
            .Integer("a", d => d.UInt32, (d, v) => d.UInt32 = v)
            .Integer("count", d => d.Count, (d, v) => d.Count = v)
            .VariableArray("counted", "count", 200, d => d.Counted, (d, v) => d.Counted = v)
            .Integer("b", d => d.UInt16, (d, v) => d.UInt16 = v > 60000 ? throw new InvalidOperationException($"{v} is too much") : v)
            .List("list", 100, SampleDevice.PartDescription, d => d.List, (d, v) => d.List = v, () => new SamplePart());
            _samples[2].UInt16 = seed;
            _samples[2].UInt32 = seed == 0 ? 3u : seed;
            Devices =
            [
                Device.Create(SampleDevice.Description, _samples[0]),
                Device.Create(SampleDevice.Description, _samples[1], 1),
                Device.Create(strict, _samples[2]),
                Device.Create(Rtc.Description, new Rtc { Index = seed, Cmos = { [5] = seed } }),
                Device.Create(Pit.Description, new Pit { IrqDisabled = seed, Channels = { [2] = new Pit.Channel { Count = seed } } }),
                Device.Create(Pic.Description, new Pic()),
                Device.Create(Pic.Description, new Pic(), 1),
                Device.Create(Keyboard.Description, new Keyboard { Mode = seed, OutPort = seed, HasExtendedState = true }),
                Device.Create(Hpet.Description, new Hpet { Count = 3, Timers = [new(), new(), new() { Fsb = seed }] }),
                Device.Create(PciBus.Description, new PciBus { Counts = [seed, 1, 2, 3] }),
            ];
        }

        public Device[] Devices { get; }

        public void Forget()
        {
            foreach (SampleDevice sample in _samples)
            {
                sample.Hooks.Clear();
            }
        }
    }
}
