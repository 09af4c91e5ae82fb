using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// The entries of a complete RAM section. Entry headers are gathered in one unmanaged buffer, pages stay in RAM; a batch of segments over both
/// goes to the sink at once. Consecutive headers (zero pages) share a segment.
/// </summary>
internal sealed unsafe class PageWriter : IDisposable
{
    private const int HeaderBytes = 64 * 1024;
    private const int MaxEntryHeader = sizeof(ulong) + 1 + byte.MaxValue + 1;

    /// <summary>An entry without the block's id, and the byte that the page is full of.</summary>
    private const int ZeroEntry = sizeof(ulong) + 1;

    private readonly SinkBuffer _sink;
    private readonly CaptureProgress _start;
    private readonly Action<CaptureProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly int _pageSize;
    private readonly IoSegment[] _segments = new IoSegment[CaptureWriter.MaxSegments];
    private readonly byte* _headers = (byte*)NativeMemory.Alloc(HeaderBytes);
    private int _segmentCount;
    private int _headerStart;
    private int _headerEnd;
    private ulong _collected;

    /// <param name="sink">Where entries and pages go.</param>
    /// <param name="pageSize">Bytes in a target page.</param>
    /// <param name="start">How far earlier passes came.</param>
    /// <param name="progress">Told after each batch; may be null.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    public PageWriter(SinkBuffer sink, int pageSize, CaptureProgress start, Action<CaptureProgress>? progress, CancellationToken cancellation)
    {
        _sink = sink;
        _pageSize = pageSize;
        _start = start;
        _progress = progress;
        _cancellation = cancellation;
        RamDone = start.RamDone;
        RamZero = start.RamZero;
    }

    /// <summary>Bytes of RAM that are written, with those of earlier passes.</summary>
    public ulong RamDone { get; private set; }

    /// <summary>Bytes of RAM among them that were zero.</summary>
    public ulong RamZero { get; private set; }

    /// <summary>Writes the pages.</summary>
    public void Write(RamBlockList blocks, IPageSet pages)
    {
        for (int i = 0; i < blocks.Count; i++)
        {
            bool isNamed = false;
            for (ulong from = 0; pages.TryNext(i, from, out ulong start, out ulong end); from = end)
            {
                WriteRun(blocks[i], start, end, ref isNamed);
            }
        }

        Flush();
    }

    public void Dispose() => NativeMemory.Free(_headers);

    /// <summary>
    /// Writes each page of the run. The kernel's extents are in units of its own page; a larger target page that is part data, part hole is data.
    /// </summary>
    private void WriteRun(RamBlock block, ulong offset, ulong runEnd, ref bool isNamed)
    {
        ulong pageSize = (ulong)_pageSize;
        foreach (RamExtent extent in block.ExtentsOf(offset, runEnd - offset))
        {
            ulong end = extent.IsData ? extent.End + pageSize - 1 : extent.End;
            end -= end % pageSize;
            if (!isNamed && offset < end)
            {
                WriteFirst(block, offset, extent.IsData);
                isNamed = true;
                offset += pageSize;
            }

            if (extent.IsData)
            {
                WriteData(block, offset, end);
            }
            else
            {
                WriteHole(offset, end);
            }

            offset = Math.Max(offset, end);
        }
    }

    /// <summary>The first page of a block alone has its id.</summary>
    private void WriteFirst(RamBlock block, ulong offset, bool isData)
    {
        FlushIfFull();
        byte* page = block.Pointer + offset;
        bool isZero = !isData || ZeroScan.IsZero(new ReadOnlySpan<byte>(page, _pageSize));
        WriteHeader(offset | (isZero ? RamFlags.Zero : RamFlags.Page));
        _headers[_headerEnd++] = (byte)block.Name.Length;
        _headerEnd += Encoding.ASCII.GetBytes(block.Name, new Span<byte>(_headers + _headerEnd, byte.MaxValue));
        if (isZero)
        {
            EndZero();
        }
        else
        {
            EndPage(page);
        }
    }

    private void WriteData(RamBlock block, ulong offset, ulong end)
    {
        byte* memory = block.Pointer;
        for (; offset < end; offset += (ulong)_pageSize)
        {
            byte* page = memory + offset;
            FlushIfFull();
            if (ZeroScan.IsZero(new ReadOnlySpan<byte>(page, _pageSize)))
            {
                WriteHeader(offset | RamFlags.Zero | RamFlags.Continue);
                EndZero();
            }
            else
            {
                WriteHeader(offset | RamFlags.Page | RamFlags.Continue);
                EndPage(page);
            }
        }
    }

    /// <summary>A hole may be most of a machine: entries that differ in their offset alone.</summary>
    private void WriteHole(ulong offset, ulong end)
    {
        ulong pageSize = (ulong)_pageSize;
        while (offset < end)
        {
            FlushIfFull();
            ulong pages = Math.Min((end - offset) / pageSize, (ulong)(HeaderBytes - _headerEnd) / ZeroEntry);
            byte* entry = _headers + _headerEnd;
            for (ulong i = 0; i < pages; i++, entry += ZeroEntry, offset += pageSize)
            {
                *(ulong*)entry = BinaryPrimitives.ReverseEndianness(offset | RamFlags.Zero | RamFlags.Continue);
                entry[sizeof(ulong)] = 0;
            }

            _headerEnd += (int)(pages * ZeroEntry);
            RamDone += pages * pageSize;
            RamZero += pages * pageSize;
        }
    }

    /// <summary>Offset and flags of an entry, big-endian.</summary>
    private void WriteHeader(ulong offsetAndFlags)
    {
        *(ulong*)(_headers + _headerEnd) = BinaryPrimitives.ReverseEndianness(offsetAndFlags);
        _headerEnd += sizeof(ulong);
    }

    /// <summary>The byte that a page is full of.</summary>
    private void EndZero()
    {
        _headers[_headerEnd++] = 0;
        RamDone += (ulong)_pageSize;
        RamZero += (ulong)_pageSize;
    }

    private void EndPage(byte* page)
    {
        CloseHeaders();
        _segments[_segmentCount++] = new IoSegment(page, (nuint)_pageSize);
        _collected += (ulong)_pageSize;
        RamDone += (ulong)_pageSize;
    }

    /// <summary>Makes a segment of the headers since the last page.</summary>
    private void CloseHeaders()
    {
        int length = _headerEnd - _headerStart;
        if (length > 0)
        {
            _segments[_segmentCount++] = new IoSegment(_headers + _headerStart, (nuint)length);
            _collected += (ulong)length;
            _headerStart = _headerEnd;
        }
    }

    /// <summary>Makes room for an entry and its page.</summary>
    private void FlushIfFull()
    {
        if (_segmentCount + 2 > _segments.Length || _headerEnd + MaxEntryHeader > HeaderBytes)
        {
            Flush();
        }
    }

    private void Flush()
    {
        CloseHeaders();
        if (_segmentCount > 0)
        {
            _cancellation.ThrowIfCancellationRequested();
            _sink.WriteGather(_segments.AsSpan(0, _segmentCount), _collected);
            _progress?.Invoke(new CaptureProgress(RamDone, RamZero, _start.RamTotal, _sink.Written, CaptureStage.Ram));
        }

        _segmentCount = 0;
        _collected = 0;
        _headerStart = 0;
        _headerEnd = 0;
    }
}
