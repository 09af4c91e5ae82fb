using System.Numerics;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>The RAM blocks that a stream announced, and which of their pages have come.</summary>
/// <param name="options">Bounds.</param>
/// <param name="reader">The stream, for errors.</param>
internal sealed class ReceivedRam(IncomingStreamOptions options, SourceReader reader)
{
    private ReceivedPages[] _received = [];
    private int _pageShift;
    private ulong _recordBytes;
    private ulong _maxRecordBytes = options.MaxPageRecord;

    /// <summary>Capability x-ignore-shared is on at the source.</summary>
    public bool IgnoresShared { get; private set; }

    /// <summary>The blocks in stream order.</summary>
    public RamBlockDescription[] Blocks { get; private set; } = [];

    /// <summary>The block list has come. It is empty for a machine without RAM.</summary>
    public bool HasBlockList { get; private set; }

    /// <summary>Bytes in all blocks: no page's address reaches it.</summary>
    public ulong TotalLength { get; private set; }

    /// <summary>Bytes in a target page, a power of two; until <see cref="IsPageSizeKnown"/> the size that explains the stream so far.</summary>
    public int PageSize
    {
        get;
        private set
        {
            field = value;
            _pageShift = BitOperations.Log2((uint)value);
        }
    }

    /// <summary>The stream states the size, or a page with content has shown it.</summary>
    public bool IsPageSizeKnown { get; set; }

    /// <summary>The bits of a RAM entry below the page's address.</summary>
    public ulong FlagMask => (ulong)PageSize - 1;

    /// <summary>False while not one page came with its content: all that came were zero.</summary>
    public bool SawContent { get; private set; }

    /// <summary>Pages came beside the stream, by RDMA.</summary>
    public bool SawHook { get; set; }

    /// <summary>Takes what the configuration says.</summary>
    public void Begin(StreamConfiguration configuration)
    {
        PageSize = configuration.PageSize;
        IsPageSizeKnown = configuration.StatesPageSize;
        IgnoresShared = configuration.IgnoresShared;
    }

    /// <summary>Takes the block list.</summary>
    public void SetBlocks(RamBlockDescription[] blocks, ulong totalLength)
    {
        TotalLength = totalLength;
        Blocks = blocks;
        HasBlockList = true;
        _received = [.. blocks.Select(_ => new ReceivedPages(GrowRecord))];
    }

    /// <summary>Another size explains the stream. The pages that came so far were zero, and are noted anew.</summary>
    public void ChangePageSize(int size)
    {
        if (size != PageSize)
        {
            _recordBytes = 0;
            _received = [.. _received.Select(pages => pages.Rescale(PageSize, size))];
            PageSize = size;
        }
    }

    /// <summary>Notes that something comes for the page; true if it is the first time.</summary>
    public bool Add(int block, ulong offset) => _received[block].Add(offset >> _pageShift);

    /// <summary>As <see cref="Add"/>, for a page whose content comes.</summary>
    public void AddContent(int block, ulong offset)
    {
        _received[block].Add(offset >> _pageShift);
        SawContent = true;
    }

    /// <summary>
    /// True if the stream left the block out: capability x-ignore-shared is on, no page of it came inline, and none can have come by RDMA. Memory that a
    /// device or the firmware owns is never shared, so a block of that kind without pages was sent over another connection.
    /// </summary>
    public bool IsLeftOut(int block) =>
        IgnoresShared && !SawHook && _received[block].Count == 0 && !GuestMemoryNames.IsOwnedByDevice(Blocks[block].Name);

    /// <summary>
    /// Pages that never came, by block; empty when the machine is complete, and when pages went beside the stream by RDMA. Blocks that are left out do not
    /// count.
    /// </summary>
    public IReadOnlyList<MissingPages> Missing() => SawHook || options.AllowsMissingPages
        ? []
        : [.. Enumerable.Range(0, Blocks.Length).Where(block => !IsLeftOut(block) && _received[block].Count < PagesIn(block)).Select(MissingOf)];

    private void GrowRecord()
    {
        _recordBytes += ReceivedPages.LeafBytes;
        if (_recordBytes > _maxRecordBytes)
        {
            _maxRecordBytes = Math.Max(_maxRecordBytes, options.MaxPageRecordOfHost?.Invoke() ?? 0);
        }

        if (_recordBytes > _maxRecordBytes)
        {
            throw reader.TooLarge(
                $"the record of the pages that have come takes more than {_maxRecordBytes} bytes of memory: too many pages come alone");
        }
    }

    private ulong PagesIn(int block) => Blocks[block].Length >> _pageShift;

    private MissingPages MissingOf(int block)
    {
        ReceivedPages received = _received[block];
        return new MissingPages(Blocks[block].Name, PagesIn(block) - received.Count, PagesIn(block), received.FirstMissing() * (ulong)PageSize);
    }
}
