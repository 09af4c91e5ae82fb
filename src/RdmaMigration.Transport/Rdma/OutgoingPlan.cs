using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// Cuts all of RAM into windows, block by block and ascending. Chunks without data are in no window: they are neither registered nor read, the destination is
/// told to clear them. Where a window has holes, the destination clears its range first and only the data is written: that costs one message however the holes
/// lie. One thread uses it.
/// </summary>
/// <param name="blocks">In the order of their indexes.</param>
/// <param name="windowBytes">The most that a window spans, at least a chunk. The first ones are smaller.</param>
/// <param name="scan">
/// Also looks for chunks whose data is all zero. It stops at the first byte that is not, so dense memory costs nothing; memory that was touched and is zero is
/// read.
/// </param>
/// <param name="throwIfLost">
/// Called before each chunk is looked at, so that the next window is not sought to the end for a destination that is lost or a user who has cancelled: memory
/// that is all zero may be many GiB.
/// </param>
/// <param name="keys">The keys that its chunks have already: a window lies under one key on each side. Null when no chunk has one.</param>
internal sealed class OutgoingPlan(IReadOnlyList<RamBlock> blocks, ulong windowBytes, bool scan, Action throwIfLost, ChunkKeys? keys = null)
    : IWindowPlan
{
    /// <summary>Windows double from here, 4 MiB, so that the first bytes do not wait for a large registration.</summary>
    private const ulong FirstWindow = 4 << 20;

    private int _block = -1;
    private RamExtents.Enumerator _extents;
    private ulong _position;
    private ulong _dataEnd;
    private RamRun? _peeked;
    private ulong _cleared;
    private ulong _finishedBlocks;
    private ulong _windowBytes = Math.Min(FirstWindow, windowBytes);
    private ulong _data;

    public long ZeroBytes { get; private set; }

    public bool TryNext(OutgoingWindow window)
    {
        if (_block < 0)
        {
            StartBlock(0);
        }

        while (_block < blocks.Count)
        {
            RamBlock block = blocks[_block];
            window.Reset(_block);
            Gather(block, window);
            if (window.HasData)
            {
                SetRangeToClear(block, window);
                _data += window.DataBytes;
                _windowBytes = Math.Min(_windowBytes * 2, windowBytes);
                ZeroBytes = (long)(_finishedBlocks + window.End - _data);
                return true;
            }

            window.Clear(_cleared, block.Length);
            _finishedBlocks += block.Length;
            ZeroBytes = (long)(_finishedBlocks - _data);
            StartBlock(_block + 1);
            if (window.ClearStart < window.ClearEnd)
            {
                return true;
            }
        }

        return false;
    }

    private void StartBlock(int index)
    {
        _block = index;
        _position = _dataEnd = _cleared = 0;
        if (index < blocks.Count)
        {
            _extents = blocks[index].Extents.GetEnumerator();
        }
    }

    private void Gather(RamBlock block, OutgoingWindow window)
    {
        while (Peek(block) is { } run)
        {
            ulong chunk = Chunk.Start(run.Offset);
            if (window.HasData && (chunk > window.End || chunk - window.Start >= _windowBytes || keys?.Differ(_block, window.Start, chunk) is true))
            {
                return;
            }

            window.Add(run, chunk, Math.Min(chunk + Chunk.Size, block.Length));
            _peeked = null;
        }
    }

    /// <summary>
    /// The range between the last window and this one, and the window itself when it has holes. Where anything has to be cleared, as much as a window spans is:
    /// what lies scattered then costs one message for each such stretch.
    /// </summary>
    private void SetRangeToClear(RamBlock block, OutgoingWindow window)
    {
        ulong needed = window.HasHole ? window.End : window.Start;
        if (_cleared < needed)
        {
            ulong end = Math.Max(needed, Math.Min(_cleared + windowBytes, block.Length));
            window.Clear(_cleared, end);
            _cleared = end;
        }

        _cleared = Math.Max(_cleared, window.End);
    }

    /// <summary>The next data within one chunk, without taking it.</summary>
    private RamRun? Peek(RamBlock block)
    {
        while (_peeked is null)
        {
            throwIfLost();
            if (_position < _dataEnd)
            {
                ulong end = Math.Min(_dataEnd, Chunk.Start(_position) + Chunk.Size);
                if (!scan || !ZeroScan.IsZero(block.Slice(_position, (int)(end - _position))))
                {
                    _peeked = new RamRun(_position, end - _position);
                }

                _position = end;
            }
            else if (!_extents.MoveNext())
            {
                return null;
            }
            else if (_extents.Current.IsData)
            {
                _position = _extents.Current.Offset;
                _dataEnd = _extents.Current.End;
            }
        }

        return _peeked;
    }
}
