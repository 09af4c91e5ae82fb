using System.Buffers;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// A machine that has arrived: its RAM blocks, and everything else as the bytes that QEMU sent. Immutable; the RAM blocks stay the handler's. The owner
/// disposes it, and with it those bytes.
/// </summary>
internal sealed class CapturedStream : IDisposable
{
    private readonly HashSet<int> _leftOut;
    private readonly Lazy<GlobalStateData?> _globalState;
    private KeptBytes? _kept;

    internal CapturedStream(StreamParser parser, RamBlockList blocks, IReadOnlyList<MissingPages> missing)
    {
        NotSent = missing;
        TrailingBytes = parser.Opaque.TrailingBytes;
        Configuration = parser.Configuration;
        Blocks = parser.Ram.Blocks;
        RamBlocks = blocks;
        RamSectionId = parser.RamSectionId;
        HasFooters = parser.HasFooters;
        HasSwitchoverStart = parser.HasSwitchoverStart;
        SectionsBeforeRam = parser.Opaque.BeforeRam;
        SectionsDuringRam = parser.Opaque.DuringRam;
        DeviceState = parser.Opaque.Sections;
        VmDescription = parser.Opaque.VmDescription;
        WhyEnded = parser.Opaque.WhyEnded;
        _leftOut = [.. Enumerable.Range(0, blocks.Count).Where(parser.Ram.IsLeftOut)];
        _globalState = new Lazy<GlobalStateData?>(() => GlobalState.Find(DeviceState, VmDescription, HasFooters));
        _kept = parser.Opaque.HandOver();
    }

    /// <summary>The configuration section.</summary>
    public StreamConfiguration Configuration { get; }

    /// <summary>The RAM blocks as the source announced them.</summary>
    public IReadOnlyList<RamBlockDescription> Blocks { get; }

    /// <summary>The RAM blocks that the handler allocated.</summary>
    public RamBlockList RamBlocks { get; }

    /// <summary>The section id of "ram"; null for a machine without RAM.</summary>
    public uint? RamSectionId { get; }

    /// <summary>True if sections end with a footer (all machine types since QEMU 2.4).</summary>
    public bool HasFooters { get; }

    /// <summary>True if the source sent SWITCHOVER_START (machine types since QEMU 10.0).</summary>
    public bool HasSwitchoverStart { get; }

    /// <summary>Sections of other handlers before the START section of "ram", with headers and footers; usually empty.</summary>
    public ReadOnlySequence<byte> SectionsBeforeRam { get; }

    /// <summary>Sections of other handlers between the START and the END section of "ram", with headers and footers; usually empty.</summary>
    public ReadOnlySequence<byte> SectionsDuringRam { get; }

    /// <summary>Everything after the footer of the END section of "ram", up to and including the end marker.</summary>
    public ReadOnlySequence<byte> DeviceState { get; }

    /// <summary>The vmdescription's JSON text as it came, or null if the machine sends none.</summary>
    public ReadOnlyMemory<byte>? VmDescription { get; }

    /// <summary>
    /// The run state that the machine had at its source, by QEMU's name, such as "running" or "paused"; null when the device state does not show it. The first
    /// call looks for it.
    /// </summary>
    public string? RunState => _globalState.Value?.RunState;

    /// <summary>How the end was recognised.</summary>
    public StreamEnd WhyEnded { get; }

    /// <summary>
    /// Pages that the source did not send because its guest does without them: memory of a virtio-mem device that is not plugged in, pages that a balloon
    /// reported free. They are zero here.
    /// </summary>
    public IReadOnlyList<MissingPages> NotSent { get; }

    /// <summary>Bytes behind the end of the stream, which are dropped.</summary>
    public long TrailingBytes { get; }

    /// <summary>The blocks that are left out, see <see cref="IsLeftOut"/>.</summary>
    public IReadOnlyList<RamBlockDescription> LeftOut => [.. _leftOut.Order().Select(block => Blocks[block])];

    /// <summary>Bytes of RAM in the stream: of all blocks but those that are left out.</summary>
    public ulong RamLength => RamBlocks.TotalLength - LeftOut.Aggregate(0UL, (sum, block) => sum + block.Length);

    /// <summary>True if the block is RAM that both sides share through a file and that is not part of the stream (x-ignore-shared).</summary>
    public bool IsLeftOut(int block) => _leftOut.Contains(block);

    /// <summary><see cref="DeviceState"/> with another run state. It shares memory with that, and is as long.</summary>
    /// <param name="runState">QEMU's name, shorter than 32 letters.</param>
    /// <exception cref="InvalidOperationException">There is no <see cref="RunState"/> to replace.</exception>
    public ReadOnlySequence<byte> DeviceStateIn(string runState) => _globalState.Value is { } found
        ? GlobalState.Replace(DeviceState, found, runState)
        : throw new InvalidOperationException("the device state has no run state");

    /// <summary>Frees everything but RAM.</summary>
    public void Dispose()
    {
        _kept?.Dispose();
        _kept = null;
    }
}
