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

    private readonly CapturedStream _stream;
    private readonly SinkBuffer _sink;
    private readonly Action<CaptureProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly int _pageSize;
    private readonly IoSegment[] _segments = new IoSegment[CaptureWriter.MaxSegments];
    private readonly byte* _headers = (byte*)NativeMemory.Alloc(HeaderBytes);
    private int _segmentCount;
    private int _headerStart;
    private int _headerEnd;
    private ulong _ramDone;
    private ulong _ramZero;
    private ulong _collected;
    private readonly ulong _total;

    public PageWriter(CapturedStream stream, SinkBuffer sink, Action<CaptureProgress>? progress, CancellationToken cancellation)
    {
        _stream = stream;
        _total = stream.RamLength;
        _sink = sink;
        _progress = progress;
        _cancellation = cancellation;
        _pageSize = stream.Configuration.PageSize;
    }

    /// <summary>Writes all pages of all blocks; returns the bytes of RAM that were zero.</summary>
    public ulong WriteAll()
    {
        for (int i = 0; i < _stream.RamBlocks.Count; i++)
        {
            if (!_stream.IsLeftOut(i))
            {
                WriteBlock(_stream.RamBlocks[i]);
            }
        }

        Flush();
        return _ramZero;
    }

    public void Dispose() => NativeMemory.Free(_headers);

    /// <summary>
    /// Writes each page of the block. The kernel's extents are in units of its own page; a larger target page that is part data, part hole is data.
    /// </summary>
    private void WriteBlock(RamBlock block)
    {
        ulong pageSize = (ulong)_pageSize;
        ulong offset = 0;
        foreach (RamExtent extent in block.Extents)
        {
            ulong end = extent.IsData ? extent.End + pageSize - 1 : extent.End;
            end -= end % pageSize;
            if (offset == 0 && offset < end)
            {
                WriteFirst(block, extent.IsData);
                offset = pageSize;
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

    /// <summary>The first page alone has the block's id.</summary>
    private void WriteFirst(RamBlock block, bool isData)
    {
        FlushIfFull();
        bool isZero = !isData || ZeroScan.IsZero(new ReadOnlySpan<byte>(block.Pointer, _pageSize));
        WriteHeader(isZero ? RamFlags.Zero : RamFlags.Page);
        _headers[_headerEnd++] = (byte)block.Name.Length;
        _headerEnd += Encoding.ASCII.GetBytes(block.Name, new Span<byte>(_headers + _headerEnd, byte.MaxValue));
        if (isZero)
        {
            EndZero();
        }
        else
        {
            EndPage(block.Pointer);
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
            _ramDone += pages * pageSize;
            _ramZero += pages * pageSize;
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
        _ramDone += (ulong)_pageSize;
        _ramZero += (ulong)_pageSize;
    }

    private void EndPage(byte* page)
    {
        CloseHeaders();
        _segments[_segmentCount++] = new IoSegment(page, (nuint)_pageSize);
        _collected += (ulong)_pageSize;
        _ramDone += (ulong)_pageSize;
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
            _progress?.Invoke(new CaptureProgress(_ramDone, _ramZero, _total, _sink.Written, CaptureStage.Ram));
        }

        _segmentCount = 0;
        _collected = 0;
        _headerStart = 0;
        _headerEnd = 0;
    }
}
