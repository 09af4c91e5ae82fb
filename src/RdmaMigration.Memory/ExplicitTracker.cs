namespace RdmaMigration.Memory;

/// <summary>The program says what it writes. Works everywhere; a write that nobody marks is lost.</summary>
internal sealed class ExplicitTracker : IDirtyTracker
{
    private readonly IReadOnlyList<RamBlock> _blocks;
    private readonly AtomicPageBits[] _marks;
    private readonly PageBitmap[] _taken;
    private volatile bool _isStarted;

    /// <param name="blocks">The blocks, which stay allocated.</param>
    public ExplicitTracker(IReadOnlyList<RamBlock> blocks)
    {
        _blocks = blocks;
        _marks = [.. blocks.Select(block => new AtomicPageBits(block.Length / RamBlock.LengthUnit))];
        _taken = [.. blocks.Select(block => new PageBitmap(block))];
    }

    /// <inheritdoc/>
    public DirtyTracking Kind => DirtyTracking.Explicit;

    /// <summary>
    /// Marks a range as written. Call it after the write, and before the machine counts as stopped: a page that is marked first may be sent before it is
    /// written. For any thread; it does not allocate and does not block. While nothing is tracked it does nothing.
    /// </summary>
    /// <param name="block">The block's index.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">Bytes. Every page that has one of them is marked.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such block, or the range leaves it.</exception>
    public void MarkDirty(int block, ulong offset, ulong length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)block, (uint)_marks.Length, nameof(block));
        ulong end = _blocks[block].Length;
        if (offset > end || length > end - offset)
        {
            throw new ArgumentOutOfRangeException(
                nameof(offset), $"RAM block '{_blocks[block].Name}': bytes 0x{offset:x} + 0x{length:x} are outside its 0x{end:x}");
        }

        // The write comes before the look at _isStarted: if Start does not see this mark, the first pass sees the write.
        Interlocked.MemoryBarrier();
        if (_isStarted && length != 0)
        {
            ulong first = offset / RamBlock.LengthUnit;
            _marks[block].Set(first, ((offset + length - 1) / RamBlock.LengthUnit) - first + 1);
        }
    }

    /// <inheritdoc/>
    public void Start()
    {
        if (_isStarted)
        {
            throw new InvalidOperationException("writes are tracked already");
        }

        // What a mark of the last time left behind.
        for (int i = 0; i < _marks.Length; i++)
        {
            _marks[i].Take(_taken[i]);
            _taken[i].ClearAll();
        }

        _isStarted = true;
        Interlocked.MemoryBarrier();
    }

    /// <inheritdoc/>
    public ulong Collect(int block, PageBitmap into)
    {
        if (!_isStarted)
        {
            throw new InvalidOperationException("writes are not tracked");
        }

        PageBitmap taken = _taken[block];
        _marks[block].Take(taken);
        ulong count = taken.Count;
        into.Or(taken);
        taken.ClearAll();
        return count;
    }

    /// <inheritdoc/>
    public void Stop() => _isStarted = false;

    /// <inheritdoc/>
    public void Dispose() => Stop();
}
