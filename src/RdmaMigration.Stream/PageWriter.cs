using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using RdmaMigration.Memory;

namespace RdmaMigration.Stream;

/// <summary>
/// The entries of a complete RAM section. Entry headers are gathered in one unmanaged buffer, pages stay in RAM; a batch of segments over both
/// goes to the sink at once. Consecutive headers (zero pages) share a segment.
/// </summary>
internal sealed unsafe class PageWriter : IDisposable
{
    private const int HeaderBytes = 64 * 1024;
    private const int MaxEntryHeader = sizeof(ulong) + 1 + byte.MaxValue + 1;

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

    public PageWriter(CapturedStream stream, SinkBuffer sink, Action<CaptureProgress>? progress, CancellationToken cancellation)
    {
        _stream = stream;
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
            RamBlock block = _stream.RamBlocks[i];
            if (_stream.IsLeftOut(i))
            {
                _ramDone += block.Length;
            }
            else
            {
                WriteBlock(block);
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
        byte* memory = block.Pointer;
        foreach (RamExtent extent in block.Extents)
        {
            ulong end = extent.IsData ? extent.End + pageSize - 1 : extent.End;
            end -= end % pageSize;
            for (; offset < end; offset += pageSize)
            {
                byte* page = memory + offset;
                if (extent.IsData && !ZeroScan.IsZero(new ReadOnlySpan<byte>(page, _pageSize)))
                {
                    AddEntry(block.Name, offset, RamFlags.Page);
                    CloseHeaders();
                    _segments[_segmentCount++] = new IoSegment(page, (nuint)pageSize);
                    _collected += pageSize;
                }
                else
                {
                    AddEntry(block.Name, offset, RamFlags.Zero);
                    _headers[_headerEnd++] = 0;
                    _ramZero += pageSize;
                }

                _ramDone += pageSize;
            }
        }
    }

    /// <summary>Puts an entry's be64 and, for the first of a block, the block id into the header buffer.</summary>
    private void AddEntry(string blockName, ulong offset, ulong flag)
    {
        if (_segmentCount + 2 > _segments.Length || _headerEnd + MaxEntryHeader > HeaderBytes)
        {
            Flush();
        }

        bool isFirst = offset == 0;
        var entry = new Span<byte>(_headers + _headerEnd, MaxEntryHeader);
        BinaryPrimitives.WriteUInt64BigEndian(entry, offset | flag | (isFirst ? 0 : RamFlags.Continue));
        _headerEnd += sizeof(ulong);
        if (isFirst)
        {
            entry[sizeof(ulong)] = (byte)blockName.Length;
            _headerEnd += 1 + Encoding.ASCII.GetBytes(blockName, entry[(sizeof(ulong) + 1)..]);
        }
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

    private void Flush()
    {
        CloseHeaders();
        if (_segmentCount > 0)
        {
            _cancellation.ThrowIfCancellationRequested();
            _sink.WriteGather(_segments.AsSpan(0, _segmentCount), _collected);
            _progress?.Invoke(new CaptureProgress(_ramDone, _ramZero, _stream.RamBlocks.TotalLength, _sink.Written, CaptureStage.Ram));
        }

        _segmentCount = 0;
        _collected = 0;
        _headerStart = 0;
        _headerEnd = 0;
    }
}
