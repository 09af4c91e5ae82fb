using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>Consecutive bytes of a block.</summary>
/// <param name="Offset">In the block.</param>
/// <param name="Length">Bytes, at least 1.</param>
internal readonly record struct RamRun(ulong Offset, ulong Length)
{
    public ulong End => Offset + Length;
}

/// <summary>
/// A run of chunks that hold data, registered and written as one: REGISTER_REQUEST asks for it with further chunks (PROTOCOL.md, Registration). A window may
/// begin with a range that the destination has to clear; a window without runs is only such a range.
/// </summary>
internal sealed class OutgoingWindow
{
    private readonly List<RamRun> _runs = [];

    /// <summary>The block's index in the source's list.</summary>
    public int Block { get; private set; }

    /// <summary>The first chunk's start, in the block.</summary>
    public ulong Start { get; private set; }

    /// <summary>The last chunk's end.</summary>
    public ulong End { get; private set; }

    /// <summary>What is sent, ascending.</summary>
    public IReadOnlyList<RamRun> Runs => _runs;

    /// <summary>Bytes in all runs.</summary>
    public ulong DataBytes { get; private set; }

    /// <summary>The destination has to make [ClearStart, ClearEnd) zero before the window is written.</summary>
    public ulong ClearStart { get; set; }

    /// <summary>Where that range ends.</summary>
    public ulong ClearEnd { get; private set; }

    /// <summary>The window's memory is registered here.</summary>
    public LocalRegion Region { get; set; }

    /// <summary>Where the block's first byte is, under <see cref="RemoteKey"/>.</summary>
    public ulong RemoteBase { get; set; }

    /// <summary>The destination's key; 0 while it is not known.</summary>
    public uint RemoteKey { get; set; }

    /// <summary>The link's count of posted bytes behind the window's last write.</summary>
    public long PostedEnd { get; set; }

    public bool HasData => _runs.Count > 0;

    /// <summary>Bytes from the first chunk's start to the last one's end: what is registered.</summary>
    public ulong Span => End - Start;

    public bool HasHole => DataBytes < Span;

    /// <summary>Makes it an empty window of a block.</summary>
    public void Reset(int block)
    {
        _runs.Clear();
        Block = block;
        Start = End = DataBytes = ClearStart = ClearEnd = RemoteBase = 0;
        RemoteKey = 0;
        Region = default;
    }

    /// <summary>Adds data behind what it has; joins it to the last run where they touch.</summary>
    public void Add(RamRun run, ulong chunkStart, ulong chunkEnd)
    {
        if (_runs.Count == 0)
        {
            Start = chunkStart;
        }

        End = chunkEnd;
        DataBytes += run.Length;
        if (_runs.Count > 0 && _runs[^1].End == run.Offset)
        {
            _runs[^1] = _runs[^1] with { Length = _runs[^1].Length + run.Length };
        }
        else
        {
            _runs.Add(run);
        }
    }

    /// <summary>Sets what has to be cleared before.</summary>
    public void Clear(ulong start, ulong end)
    {
        ClearStart = start;
        ClearEnd = end;
    }

    /// <summary>
    /// Makes holes of the ranges between the runs, which were zero when the window was made. Pinning puts memory behind the holes of a window, and the memory
    /// would stay: a machine whose data lies scattered could then fill a host that it fits into. Does nothing unless the block's owner allows it
    /// (<see cref="RamBlock.MayDiscardZeros"/>). Where the kernel does not take the memory back, it stays.
    /// </summary>
    public void DiscardGaps(RamBlock block)
    {
        if (!block.MayDiscardZeros)
        {
            return;
        }

        ulong end = Start;
        foreach (RamRun run in _runs)
        {
            Discard(block, end, run.Offset);
            end = run.End;
        }

        Discard(block, end, End);
    }

    private static void Discard(RamBlock block, ulong start, ulong end)
    {
        if (start < end)
        {
            block.TryDiscard(start, end - start);
        }
    }
}
