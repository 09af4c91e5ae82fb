using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// Cuts a set of pages into windows, block by block and ascending. Only the pages of the set are written or cleared; what lies between them came in an earlier
/// pass. One thread uses it.
/// </summary>
/// <param name="blocks">In the order of their indexes.</param>
/// <param name="pages">What is sent.</param>
/// <param name="windowBytes">The most that a window spans, at least a chunk.</param>
/// <param name="scan">Chunks that are in the set whole and all zero are cleared at the destination, not written.</param>
/// <param name="keys">The keys that chunks have: a window lies under one key on each side.</param>
/// <param name="throwIfLost">Called before each chunk is looked at.</param>
internal sealed class PagePlan(
    IReadOnlyList<RamBlock> blocks, IPageSet pages, ulong windowBytes, bool scan, ChunkKeys keys, Action throwIfLost) : IWindowPlan
{
    private int _block;
    private ulong _position;
    private ulong _runEnd;
    private RamRun? _peeked;
    private bool _isPeekedZero;

    public long ZeroBytes { get; private set; }

    public bool TryNext(OutgoingWindow window)
    {
        for (; _block < blocks.Count; _block++, _position = _runEnd = 0)
        {
            window.Reset(_block);
            Gather(blocks[_block], window);
            if (window.HasData || window.ClearStart < window.ClearEnd)
            {
                return true;
            }
        }

        return false;
    }

    private void Gather(RamBlock block, OutgoingWindow window)
    {
        while (Peek(block) is { } piece && (_isPeekedZero ? TryClear(window, piece) : TryAdd(block, window, piece)))
        {
            _peeked = null;
        }
    }

    private bool TryClear(OutgoingWindow window, RamRun piece)
    {
        bool isFirst = window.ClearStart == window.ClearEnd;
        if (window.HasData || (!isFirst && window.ClearEnd != piece.Offset))
        {
            return false;
        }

        window.Clear(isFirst ? piece.Offset : window.ClearStart, piece.End);
        ZeroBytes += (long)piece.Length;
        return true;
    }

    private bool TryAdd(RamBlock block, OutgoingWindow window, RamRun piece)
    {
        ulong chunk = Chunk.Start(piece.Offset);
        if (window.ClearStart < window.ClearEnd || (window.HasData && !MayJoin(window, chunk)))
        {
            return false;
        }

        window.Add(piece, chunk, Math.Min(chunk + Chunk.Size, block.Length));
        return true;
    }

    /// <summary>A key that is asked for covers a run of chunks; one that is known covers all chunks that have it.</summary>
    private bool MayJoin(OutgoingWindow window, ulong chunk)
    {
        bool isKnown = keys.Local(_block, chunk) != 0 && keys.Remote(_block, chunk) != 0;
        return chunk < window.End || ((chunk == window.End || isKnown) && chunk - window.Start < windowBytes && !keys.Differ(_block, window.Start, chunk));
    }

    /// <summary>The next pages within one chunk, without taking them.</summary>
    private RamRun? Peek(RamBlock block)
    {
        if (_peeked is not null)
        {
            return _peeked;
        }

        throwIfLost();
        if (_position >= _runEnd)
        {
            if (!pages.TryNext(_block, _position, out ulong start, out ulong end))
            {
                return null;
            }

            (_position, _runEnd) = (start, end);
        }

        ulong chunk = Chunk.Start(_position);
        ulong pieceEnd = Math.Min(_runEnd, chunk + Chunk.Size);
        RamRun piece = new(_position, pieceEnd - _position);
        bool isWholeChunk = piece.Offset == chunk && piece.End == Math.Min(chunk + Chunk.Size, block.Length);
        _isPeekedZero = scan && isWholeChunk && ZeroScan.IsZero(block.Slice(piece.Offset, (int)piece.Length));
        _position = pieceEnd;
        return _peeked = piece;
    }
}
