using System.Buffers;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>Counts what a stream contains; pages go into one scratch page.</summary>
internal sealed class ReportTarget : IStreamTarget
{
    private readonly List<string> _commands = [];
    private readonly List<SectionReport> _sections = [];
    private readonly List<(byte[] Bytes, ulong At)> _packages = [];
    private readonly byte[] _scratch = new byte[1 << Wire.MaxPageBits];
    private BlockCounts[] _counts = [];
    private ulong _hooks;

    public void OnConfiguration(StreamConfiguration configuration)
    {
    }

    public void OnRamBlocks(IReadOnlyList<RamBlockDescription> blocks) => _counts = new BlockCounts[blocks.Count];

    public void OnCommand(MigrationCommand command, ReadOnlySpan<byte> payload) => _commands.Add(command.ToString());

    public void OnHook() => _hooks++;

    public bool TakesPackages => true;

    public void OnPackage(byte[] bytes, ulong at) => _packages.Add((bytes, at));

    public void OnPackageEnd(bool isLoaded)
    {
    }

    public void WithBigLock(BigLockState state, Action<BigLockState> step) => throw new InvalidOperationException("an inspection has no big lock");

    public void OnSectionHeader(in SectionHeader header)
    {
    }

    public void OnSection(in SectionRecord section)
    {
        SectionHeader header = section.Header;
        _sections.Add(new SectionReport(header.TypeName, header.Id, header.Name, header.InstanceId, header.Version, section.Offset, section.Length));
    }

    public Span<byte> Page(int block, ulong offset, int length, PageEncoding encoding)
    {
        ref BlockCounts counts = ref _counts[block];
        switch (encoding)
        {
            case PageEncoding.Xbzrle:
                counts.Xbzrle++;
                break;
            case PageEncoding.Compressed:
                counts.Compressed++;
                break;
            default:
                counts.Data++;
                break;
        }

        return _scratch.AsSpan(0, length);
    }

    public void OnRamEnd(StreamParser parser)
    {
    }

    public void Fill(int block, ulong offset, int length, byte value, bool isFirst)
    {
        ref BlockCounts counts = ref _counts[block];
        if (value == 0)
        {
            counts.Zero++;
        }
        else
        {
            counts.Fill++;
        }
    }

    public StreamReport Report(StreamParser parser)
    {
        StreamConfiguration configuration = parser.Configuration;
        OpaqueSections state = parser.Opaque;
        List<RamBlockReport> blocks = parser.Ram.Blocks.Select((block, i) => Describe(block, _counts[i])).ToList();
        ulong total = parser.Ram.Blocks.Aggregate(0UL, (sum, block) => sum + block.Length);
        DeviceWalker walker = new(state.VmDescription, parser.HasFooters);
        IEnumerable<(ReadOnlySequence<byte> Bytes, ulong Offset)> packages =
            _packages.Select(package => (new ReadOnlySequence<byte>(package.Bytes), package.At));
        foreach ((ReadOnlySequence<byte> bytes, ulong offset) in state.EarlierRuns.Concat(packages).OrderBy(run => run.Offset))
        {
            walker.Walk(bytes, offset);
        }

        walker.Walk(state.Sections, state.Offset);
        return new StreamReport(
            configuration.MachineType,
            configuration.PageSize,
            configuration.Capabilities,
            configuration.Uuid,
            parser.HasFooters,
            _commands,
            new RamReport(total, _hooks, blocks, parser.Ram.Missing()),
            [.. _sections.Concat(walker.Sections).OrderBy(s => s.Offset)],
            walker.Devices,
            state.Sections.Length,
            state.VmDescription?.Length,
            parser.TotalBytes,
            state.WhyEnded);
    }

    private static RamBlockReport Describe(RamBlockDescription block, in BlockCounts counts) =>
        new(block.Name, block.Length, block.PageSize, block.GuestAddress, counts.Data, counts.Zero, counts.Fill, counts.Xbzrle, counts.Compressed);

    private struct BlockCounts
    {
        public ulong Data;
        public ulong Zero;
        public ulong Fill;
        public ulong Xbzrle;
        public ulong Compressed;
    }
}
