using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>RAM that goes to a destination by RDMA writes: the control phases of a source.</summary>
/// <param name="main">The connection.</param>
/// <param name="writes">The writes.</param>
/// <param name="control">The control protocol.</param>
/// <param name="pinAll">Both sides agreed to pin-all.</param>
/// <param name="windowBytes">The most that a window spans.</param>
/// <param name="output">Has the limit.</param>
internal sealed class RdmaOutgoingRam(
    RdmaConnection main, WriteLane writes, OutgoingControl control, bool pinAll, ulong windowBytes, ChannelOutput output) : OutgoingRam, IDisposable
{
    private IReadOnlyList<RamBlock> _blocks = [];
    private DestinationBlock[] _destination = [];
    private IPassSource? _passes;

    public override bool PinAll => pinAll;

    public override long SentBytes => writes.WrittenBytes;

    public override long ZeroBytes => Volatile.Read(ref _passes)?.ZeroBytes ?? 0;

    /// <summary>Deregisters. After the queue pair is gone.</summary>
    public void Dispose() => _passes?.Dispose();

    protected override void Exchange(IReadOnlyList<RamBlock> blocks, bool runs)
    {
        _blocks = blocks;
        ReadOnlySpan<byte> answer = control.Request(
            ControlMessageType.RamBlocksRequest,
            ControlMessageType.RamBlocksResult,
            () => Volatile.Write(ref _passes, runs ? Repeated() : Single()),
            work: pinAll ? RegistrationTime.Of(blocks.Aggregate(0UL, (sum, block) => sum + block.Length)) : TimeSpan.Zero);
        _destination = DestinationBlocks.Parse(answer, blocks, pinAll, main.Peer);
        _passes!.SetDestination(_destination);
        control.Send(ControlMessageType.RegisterFinished, []);

        // A destination that relays the machine takes as long as its own destination does.
        control.Patience = Timeout.InfiniteTimeSpan;
    }

    protected override void SendAll() => Send(Passes.All());

    protected override void SendSet(IPageSet pages) => Send(Passes.Of(pages));

    private IPassSource Passes => _passes ?? throw new InvalidOperationException("RAM is sent after the blocks were exchanged");

    private void Send(IWindowSource windows)
    {
        new RamSender(main.Control, writes, control, _blocks, _destination, windows, output.Limit).Run();
        control.Send(ControlMessageType.RegisterFinished, []);
    }

    private SinglePass Single()
    {
        OutgoingPlan plan = new(_blocks, windowBytes, scan: !pinAll, main.ThrowIfLost);
        return new SinglePass(pinAll ? new PinnedWindows(_blocks, plan, main.Domain) : new LazyWindows(_blocks, plan, main.Domain));
    }

    private WrittenPasses Repeated() => new(
        _blocks, new KeptRegistrations(_blocks, main.Domain, windowBytes, main.ThrowIfLost), windowBytes, scan: !pinAll, main.ThrowIfLost);
}
