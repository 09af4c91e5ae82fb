using System.Buffers;
using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams.Tests;

/// <summary>Bytes in memory, at most <paramref name="most"/> a read.</summary>
internal sealed class MemorySource(ReadOnlyMemory<byte> bytes, int most = int.MaxValue) : IStreamSource
{
    private int _position;

    public int Read(Span<byte> buffer)
    {
        Assert.False(buffer.IsEmpty);
        int count = Math.Min(Math.Min(buffer.Length, most), bytes.Length - _position);
        bytes.Span.Slice(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }
}

internal sealed class FileSource(FileStream file, int most = int.MaxValue) : IStreamSource
{
    public int Read(Span<byte> buffer) => file.Read(buffer[..Math.Min(buffer.Length, most)]);
}

/// <summary>Collects what is written.</summary>
internal sealed class MemorySink : IStreamSink
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public List<IoSegment[]> Batches { get; } = [];

    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();

    public void Write(ReadOnlySpan<byte> bytes) => _bytes.Write(bytes);

    public void WriteGather(ReadOnlySpan<IoSegment> segments)
    {
        Batches.Add(segments.ToArray());
        foreach (IoSegment segment in segments)
        {
            Assert.NotEqual(0u, segment.Length);
            _bytes.Write(segment.AsSpan());
        }
    }
}

internal sealed class FileSink(FileStream file) : IStreamSink
{
    public void Write(ReadOnlySpan<byte> bytes) => file.Write(bytes);

    public void WriteGather(ReadOnlySpan<IoSegment> segments)
    {
        foreach (IoSegment segment in segments)
        {
            file.Write(segment.AsSpan());
        }
    }
}

/// <summary>Allocates what is asked up to a bound, and remembers what came.</summary>
internal sealed class RecordingHandler(ulong maxRam = 64 << 20) : IIncomingHandler, IDisposable
{
    public StreamConfiguration? Configuration { get; private set; }

    public IReadOnlyList<RamBlockDescription> Descriptions { get; private set; } = [];

    public RamBlockList? Blocks { get; private set; }

    public List<(MigrationCommand Command, byte[] Payload)> Commands { get; } = [];

    public int Hooks { get; private set; }

    /// <summary>How often RAM was said to be complete.</summary>
    public int RamCompletions { get; private set; }

    /// <summary>What happens in a control phase.</summary>
    public Action? WhenHooked { get; init; }

    public void OnConfiguration(StreamConfiguration configuration)
    {
        Assert.Null(Configuration);
        Configuration = configuration;
    }

    /// <summary>What RAM holds before the stream fills it, as a destination's own initialisation would.</summary>
    public byte InitialContent { get; init; }

    public RamBlockList OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks)
    {
        Assert.Null(Blocks);
        Descriptions = blocks;
        Blocks = RamBlockList.Allocate(blocks, maxRam);
        if (InitialContent != 0)
        {
            foreach (RamBlock block in Blocks)
            {
                block.Slice(0, checked((int)block.Length)).Fill(InitialContent);
            }
        }

        return Blocks;
    }

    public void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload) => Commands.Add((command, payload.ToArray()));

    public void OnHook()
    {
        Hooks++;
        WhenHooked?.Invoke();
    }

    /// <summary>How often a step ran with the big lock held.</summary>
    public int LockedSteps { get; private set; }

    /// <summary>The lengths of packages, and whether each was loaded.</summary>
    public List<(int Length, bool IsLoaded)> Packages { get; } = [];

    public void OnPackageReceived(int length) => Packages.Add((length, false));

    public void OnPackageEnd(bool isLoaded) => Packages[^1] = (Packages[^1].Length, isLoaded);

    /// <summary>As the engine: the step runs where blocking is forbidden.</summary>
    public void WithBigLock(BigLockState state, Action<BigLockState> step)
    {
        state.Assert();
        LockedSteps++;
        BlockingCalls.Forbid("the big lock is held");
        try
        {
            step(BigLockState.Held);
        }
        finally
        {
            BlockingCalls.Allow();
        }
    }

    public void OnRamComplete() => RamCompletions++;

    public void Dispose() => Blocks?.Dispose();
}

internal static class Streams
{
    public static CapturedStream Load(byte[] bytes, RecordingHandler handler, int mostPerRead = int.MaxValue, IncomingStreamOptions? options = null) =>
        new IncomingStream(new MemorySource(bytes, mostPerRead), handler, options ?? TestOptions.Stream with { AllowsMissingPages = true })
            .Load(BigLockState.NotHeld);

    /// <summary>Expects the load to be refused, and by a message that is of use.</summary>
    public static StreamFormatException Refused(byte[] bytes, IncomingStreamOptions? options = null)
    {
        using RecordingHandler handler = new();
        StreamFormatException e = Assert.Throws<StreamFormatException>(() => Load(bytes, handler, options: options));
        Assert.StartsWith(e.Step, e.Message, StringComparison.Ordinal);
        Assert.NotEmpty(e.Step);
        Assert.Contains($"0x{e.Offset:x}", e.Message, StringComparison.Ordinal);
        Assert.InRange(e.Offset, 0UL, (ulong)bytes.Length);
        return e;
    }

    public static byte[] Write(CapturedStream stream)
    {
        MemorySink sink = new();
        ulong written = CaptureWriter.Write(stream, sink);
        byte[] bytes = sink.ToArray();
        Assert.Equal((ulong)bytes.Length, written);
        return bytes;
    }

    public static byte[] Content(RamBlock block) => block.Slice(0, checked((int)block.Length)).ToArray();
}

/// <summary>Hands out the pieces in order: a read gives from one piece only. Counts the reads that began a piece or met the end.</summary>
internal sealed class PiecewiseSource(IReadOnlyList<byte[]> pieces, Action? beforeRead = null) : IStreamSource
{
    private int _position;

    public int Reads { get; private set; }

    public int Read(Span<byte> buffer)
    {
        beforeRead?.Invoke();
        if (_position == 0)
        {
            Reads++;
        }

        if (Reads > pieces.Count)
        {
            return 0;
        }

        byte[] piece = pieces[Reads - 1];
        int count = Math.Min(buffer.Length, piece.Length - _position);
        piece.AsSpan(_position, count).CopyTo(buffer);
        _position = _position + count == piece.Length ? 0 : _position + count;
        return count;
    }
}
