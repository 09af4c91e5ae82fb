using System.Collections;
using RdmaMigration.Memory;

namespace RdmaMigration.Stream;

/// <summary>Puts what the parser reads into the handler's RAM blocks, and passes the rest on.</summary>
internal sealed class HandlerTarget(IIncomingHandler handler, bool ramIsFresh) : IStreamTarget
{
    private int _pageSize;
    private long _ramBytes;
    private long _zeroBytes;

    // The pages that something has come for, one bit each; null when others write to RAM too.
    private BitArray[]? _written;

    public RamBlockList Blocks { get; private set; } = null!;

    /// <summary>Bytes of pages that came, zero ones included, each as often as it came. Any thread.</summary>
    public long RamBytes => Volatile.Read(ref _ramBytes) + RamZeroBytes;

    /// <summary>Bytes of pages that came as zero. Any thread.</summary>
    public long RamZeroBytes => Volatile.Read(ref _zeroBytes);

    public void OnConfiguration(StreamConfiguration configuration)
    {
        _pageSize = configuration.PageSize;
        handler.OnConfiguration(configuration);
    }

    public void OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks)
    {
        Blocks = handler.OnRamBlocks(blocks);
        if (!Blocks.Select(b => (b.Name, b.Length)).SequenceEqual(blocks.Select(b => (b.Name, b.Length))))
        {
            throw new InvalidOperationException($"{handler.GetType().Name}.OnRamBlocks returned other blocks than the stream announced");
        }

        // 2^31 pages, the most that fit, are 8 TiB of RAM in one block.
        if (ramIsFresh && Blocks.All(b => b.Length / (ulong)_pageSize <= int.MaxValue))
        {
            _written = [.. Blocks.Select(b => new BitArray((int)(b.Length / (ulong)_pageSize)))];
        }
    }

    public void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload) => handler.OnCommand(command, payload);

    public void OnHook()
    {
        _written = null;
        handler.OnHook();
    }

    public void OnSection(in SectionRecord section)
    {
        if (section.Header is { Type: SectionType.End, Name: Wire.RamSection })
        {
            handler.OnRamComplete();
        }
    }

    public Span<byte> Page(int block, ulong offset, int length, PageEncoding encoding)
    {
        Volatile.Write(ref _ramBytes, _ramBytes + length);
        _written?[block].Set((int)(offset / (ulong)_pageSize), true);
        return Blocks[block].Slice(offset, length);
    }

    public void Fill(int block, ulong offset, int length, byte value)
    {
        if (value == 0)
        {
            Volatile.Write(ref _zeroBytes, _zeroBytes + length);
            if (_written is null || _written[block][(int)(offset / (ulong)_pageSize)])
            {
                Blocks[block].Zero(offset, (ulong)length);
            }
        }
        else
        {
            Page(block, offset, length, PageEncoding.Fill).Fill(value);
        }
    }
}
