using System.Buffers;
using System.Text;
using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>
/// A machine that was paused at its source. RAM has dense chunks, chunks with a page here and there, memory that was written and is zero, and holes.
/// </summary>
internal static class ScatteredMachine
{
    public const string Type = "test-1.0";
    public const string RunState = "paused";

    private const int Page = StreamBuilder.Page;
    private const int Chunk = 1 << 20;

    private static readonly (string Name, byte[] Content)[] s_blocks = [("pc.ram", Scatter(8 * Chunk, seed: 1)), ("vga.vram", Scatter(3 * Chunk / 2, seed: 2))];

    /// <summary>Bytes of RAM.</summary>
    public static int RamLength => s_blocks.Sum(block => block.Content.Length);

    /// <summary>The stream of a source without a return path.</summary>
    /// <param name="deviceBytes">Bytes of a device's state.</param>
    public static byte[] Stream(int deviceBytes = 8)
    {
        StreamBuilder stream = new StreamBuilder().Header().Configuration(Type)
            .Opened(StreamBuilder.Start, 1, "ram", 0, 4)
            .BlockList([.. s_blocks.Select(block => (block.Name, (ulong)block.Content.Length))]).Eos().Footer(1)
            .Continued(StreamBuilder.End, 1);
        foreach ((string name, byte[] content) in s_blocks)
        {
            for (int offset = 0; offset < content.Length; offset += Page)
            {
                byte[] page = content[offset..(offset + Page)];
                _ = IsWrittenZero(offset) || page.AsSpan().ContainsAnyExcept((byte)0)
                    ? stream.PageOf(name, (ulong)offset, page)
                    : stream.Zero(name, (ulong)offset);
            }
        }

        return stream.Eos().Footer(1).Raw(Devices(deviceBytes)).VmDescription(Description(deviceBytes)).ToArray();
    }

    /// <summary>All pages and all device state are there.</summary>
    public static void AssertWhole(KeptMachine? machine, int deviceBytes = 8)
    {
        Assert.NotNull(machine);
        Assert.Equal((Type, RunState, (ulong)RamLength), (machine.Type, machine.RunState, machine.RamLength));
        Assert.Equal(s_blocks.Select(block => block.Name), machine.Content.RamBlocks.Select(block => block.Name));
        foreach ((RamBlock block, (_, byte[] content)) in machine.Content.RamBlocks.Zip(s_blocks))
        {
            Assert.Equal((ulong)content.Length, block.Length);
            Assert.Equal(content.Length, block.Slice(0, content.Length).CommonPrefixLength(content));
        }

        Assert.True(Devices(deviceBytes).AsSpan().SequenceEqual(machine.Content.DeviceState.ToArray()));
        Assert.Equal(Description(deviceBytes), Encoding.ASCII.GetString(machine.Content.VmDescription!.Value.Span));
    }

    /// <summary>Two dense chunks, two chunks with every seventh page, memory that is zero, and a single page in each further chunk.</summary>
    private static byte[] Scatter(int length, int seed)
    {
        byte[] content = new byte[length];
        Random random = new(seed);
        for (int offset = 0; offset < length; offset += Page)
        {
            int page = offset / Page;
            bool hasData = offset < 2 * Chunk ? seed == 1 || page % 3 == 0
                : offset < 4 * Chunk ? page % 7 == 0
                : !IsWrittenZero(offset) && page % (Chunk / Page) == 37;
            if (hasData)
            {
                random.NextBytes(content.AsSpan(offset, Page));
            }
        }

        return content;
    }

    /// <summary>A chunk, and some pages between others.</summary>
    private static bool IsWrittenZero(int offset) =>
        offset is >= 4 * Chunk and < 5 * Chunk || (offset is >= 2 * Chunk and < 4 * Chunk && offset / Page % 7 == 1);

    private static byte[] Devices(int deviceBytes)
    {
        byte[] state = new byte[deviceBytes];
        new Random(3).NextBytes(state);
        return new StreamBuilder().Opened(StreamBuilder.Full, 2, "timer", 0, 2).Raw(state).Footer(2)
            .Opened(StreamBuilder.Full, 3, "globalstate", 0, 1).UInt32((uint)RunState.Length + 1).Text(RunState.PadRight(100, '\0')).Footer(3)
            .EndOfFile().ToArray();
    }

    private static string Description(int deviceBytes) =>
        """{"page_size": 4096, "devices": [{"name": "timer", "instance_id": 0, "vmsd_name": "timer", "version": 2, "fields": """
        + $$"""[{"name": "state", "type": "buffer", "size": {{deviceBytes}}}]}, {"name": "globalstate", "instance_id": 0, """
        + """ "vmsd_name": "globalstate", "version": 1, "fields": [{"name": "size", "type": "uint32", "size": 4}, """
        + """{"name": "runstate", "type": "buffer", "size": 100}]}]}""";
}
