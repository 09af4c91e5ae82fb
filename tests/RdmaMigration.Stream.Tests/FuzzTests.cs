using System.Diagnostics;
using System.IO.Compression;
using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>10,000 damaged streams: each loads or is refused with a clear error, within its bounds.</summary>
public sealed class FuzzTests
{
    private const int HandMade = 9000;
    private const int Real = 1000;
    private const ulong MaxRam = 80UL << 20;

    // What a load may allocate besides what it keeps of the stream: buffers of 64 KiB, names of the most blocks there may be, one JSON text twice.
    private const long AllocationConstant = 8L << 20;

    private static readonly IncomingStreamOptions s_options = TestOptions.Stream with { MaxDeviceState = 4 << 20 };

    [Fact]
    public void Damaged_hand_made_streams_load_or_are_refused_clearly()
    {
        StreamBuilder[] bases = [StreamBuilder.SmallMachineBuilder(true, true), StreamBuilder.SmallMachineBuilder(false, false), RdmaMachine(), EveryEntry()];
        RunAll([.. bases.Select(FuzzBase.Of)], HandMade, seed: 1);
    }

    [Fact]
    [Trait("needs", "qemu")]
    public async Task Damaged_real_streams_load_or_are_refused_clearly()
    {
        using RealStream pc = await RealStream.CaptureAsync(new QemuOptions("fuzz", "pc", 1) { MemoryFile = "" }, null);
        using RealStream bitmaps = await RealStream.CaptureAsync(
            new QemuOptions("fuzz", "q35", 1) { MemoryFile = "", Extra = ["-blockdev", "null-co,node-name=disk,size=1048576"] },
            machine => machine.Monitor.ExecuteAsync("block-dirty-bitmap-add", new { node = "disk", name = "changed" }),
            "dirty-bitmaps", "x-ignore-shared");
        RunAll([FuzzBase.Of(File.ReadAllBytes(pc.File)), FuzzBase.Of(File.ReadAllBytes(bitmaps.File))], Real, seed: 1_000_000);
    }

    [Fact]
    public void The_undamaged_bases_load()
    {
        foreach (StreamBuilder whole in new[] { RdmaMachine(), EveryEntry() })
        {
            using RecordingHandler handler = new(MaxRam);
            Assert.Equal(StreamEnd.VmDescription, Streams.Load(whole.ToArray(), handler).WhyEnded);
        }
    }

    private static void RunAll(FuzzBase[] bases, int count, int seed)
    {
        int loaded = 0;
        for (int i = 0; i < count; i++)
        {
            Random random = new(seed + i);
            byte[] bytes = Mutation.Apply(bases[random.Next(bases.Length)], bases[random.Next(bases.Length)].Bytes, random);
            int mostPerRead = random.Next(3) == 0 ? random.Next(1, 5000) : int.MaxValue;
            try
            {
                Stopwatch clock = Stopwatch.StartNew();
                loaded += Load(bytes, mostPerRead) ? 1 : 0;
                Inspect(bytes, mostPerRead);
                Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed + i}, {bytes.Length} bytes, at most {mostPerRead} a read", e);
            }
        }

        // Some damage is harmless (guest memory, device bytes), most is not: both ways must have been taken.
        Assert.InRange(loaded, 1, count - 1);
    }

    private static bool Load(byte[] bytes, int mostPerRead)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        using RecordingHandler handler = new(MaxRam);
        try
        {
            using CapturedStream stream = Streams.Load(bytes, handler, mostPerRead, s_options);
            CaptureWriter.Write(stream, new MemorySink());
            Assert.InRange(stream.RunState?.Length ?? 0, 0, 100);
            return true;
        }
        catch (Exception e) when (e is StreamFormatException or RamAllocationException)
        {
            AssertClear(e);
            return false;
        }
        finally
        {
            AssertBounded(before, bytes.Length);
            Assert.InRange(handler.Blocks?.TotalLength ?? 0, 0UL, MaxRam);
        }
    }

    private static void Inspect(byte[] bytes, int mostPerRead)
    {
        try
        {
            StreamInspector.Inspect(new MemorySource(bytes, mostPerRead), s_options);
        }
        catch (StreamFormatException e)
        {
            AssertClear(e);
        }
    }

    private static void AssertClear(Exception e)
    {
        Assert.True(e.Message.Length > 20, e.Message);
        Assert.DoesNotContain(e.Message, char.IsControl);
        if (e is StreamFormatException format)
        {
            Assert.NotEmpty(format.Step);
            Assert.Contains($"(stream offset 0x{format.Offset:x})", e.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>What a load keeps is at most a few times what it was sent.</summary>
    private static void AssertBounded(long before, int sent) =>
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocationConstant + (8L * sent));

    private static StreamBuilder RdmaMachine() => StreamBuilder.WithConfiguration()
        .Subsection("configuration/uuid").Raw(new byte[16]).Command(1).Command(2, 0, 0, 0, 1).Command(3, new byte[16])
        .Opened(StreamBuilder.Start, 2, "ram", 0, 4)
            .UInt64(0x5000 | 4)
            .Name("pc.ram")
            .UInt64(0x4000)
            .UInt64(2 << 20)
            .Name("pc.bios")
            .UInt64(0x1000)
            .Hook()
            .Eos()
            .Footer(2)
        .Opened(StreamBuilder.Start, 3, "dirty-bitmap", 0, 1).Raw(1, 2, 3).Footer(3)
        .Continued(StreamBuilder.Part, 2).Hook().Eos().Footer(2).Continued(StreamBuilder.Part, 3).Raw(4).Footer(3)
        .Command(11).Continued(StreamBuilder.End, 3).Footer(3).Continued(StreamBuilder.End, 2).Hook().Eos().Footer(2)
        .Opened(StreamBuilder.Full, 4, "dev", 0, 1).UInt32(5).Footer(4)
        .EndOfFile().VmDescription(StreamBuilder.SmallDescription);

    private static StreamBuilder EveryEntry()
    {
        using MemoryStream memory = new();
        using (ZLibStream zlib = new(memory, CompressionLevel.Fastest, leaveOpen: true))
        {
            zlib.Write(new byte[4096]);
        }

        return StreamBuilder.WithConfiguration()
            .Subsection("configuration/capabilities").UInt32(1).Name("x-ignore-shared")
            .Opened(StreamBuilder.Full, 9, "early", 0, 1).Raw(1, 2, 3).Footer(9)
            .Opened(StreamBuilder.Start, 2, "ram", 0, 4)
                .UInt64(0x4000 | 4)
                .Name("a")
                .UInt64(0x3000)
                .UInt64(0)
                .Name("b")
                .UInt64(0x1000)
                .UInt64(0x100000)
                .Eos()
                .Footer(2)
            .Continued(StreamBuilder.Part, 2).PageOf("a", 0, 0x11).Zero(null, 0x1000, 0x22).Zero(null, 0x2000)
            .Entry(0, 0x40, null).Byte(1).UInt16(5).Raw(3, 2, 0xaa, 0xbb, 4)
            .Entry(0x1000, 0x100, "a").UInt32((uint)memory.Length).Raw(memory.ToArray()).Eos().Footer(2)
            .Continued(StreamBuilder.End, 2).PageOf("b", 0, 0x33).Eos().Footer(2)
            .Opened(StreamBuilder.Full, 3, "dev", 0, 1).UInt32(5).Footer(3)
            .EndOfFile().VmDescription(StreamBuilder.SmallDescription);
    }
}
