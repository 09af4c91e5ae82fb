using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>Puts what the parser reads into the handler's RAM blocks, and passes the rest on.</summary>
internal sealed class HandlerTarget(IIncomingHandler handler, IncomingStreamOptions options) : IStreamTarget
{
    private long _ramBytes;
    private long _zeroBytes;

    // RAM reads as zero where nothing has come for a page: false once others write to RAM too.
    private bool _isFresh = options.RamIsFresh;

    public RamBlockList Blocks { get; private set; } = null!;

    /// <summary>Bytes of pages that came, zero ones included, each as often as it came. Any thread.</summary>
    public long RamBytes => Volatile.Read(ref _ramBytes) + RamZeroBytes;

    /// <summary>Bytes of pages that came as zero. Any thread.</summary>
    public long RamZeroBytes => Volatile.Read(ref _zeroBytes);

    public void OnConfiguration(StreamConfiguration configuration) => handler.OnConfiguration(configuration);

    public void OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks)
    {
        Blocks = handler.OnRamBlocks(blocks);
        if (!Blocks.Select(b => (b.Name, b.Length)).SequenceEqual(blocks.Select(b => (b.Name, b.Length))))
        {
            throw new InvalidOperationException($"{handler.GetType().Name}.OnRamBlocks returned other blocks than the stream announced");
        }
    }

    public void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload) => handler.OnCommand(command, payload);

    public void OnHook()
    {
        _isFresh = false;
        handler.OnHook();
    }

    public bool TakesPackages => false;

    public void OnPackage(byte[] bytes, ulong at) => handler.OnPackageReceived(bytes.Length);

    public void OnPackageEnd(bool isLoaded) => handler.OnPackageEnd(isLoaded);

    public void WithBigLock(BigLockState state, Action<BigLockState> step) => handler.WithBigLock(state, step);

    public void OnSectionHeader(in SectionHeader header) => handler.OnSectionHeader(header);

    public void OnRamEnd(StreamParser parser)
    {
        Completeness.CheckAtRamEnd(parser);
        parser.Digests.Check(Blocks, options.Cancellation);
        handler.OnRamComplete();
    }

    public void OnSection(in SectionRecord section)
    {
        if (section.Header is { Type: SectionType.Start, Name: Wire.RamSection })
        {
            handler.OnRamStart();
        }
        else if (section.Header is { Type: SectionType.Part, Name: Wire.RamSection })
        {
            handler.OnRamPart();
        }
    }

    public Span<byte> Page(int block, ulong offset, int length, PageEncoding encoding)
    {
        Volatile.Write(ref _ramBytes, _ramBytes + length);
        return Blocks[block].Slice(offset, length);
    }

    public void Fill(int block, ulong offset, int length, byte value, bool isFirst)
    {
        if (value == 0)
        {
            Volatile.Write(ref _zeroBytes, _zeroBytes + length);
            if (!_isFresh || !isFirst)
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
