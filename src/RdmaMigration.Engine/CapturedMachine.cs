using RdmaMigration.Memory;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>A machine that does not run: RAM in memory of its own, device state as the bytes that came.</summary>
/// <param name="maxRam">The most bytes of RAM.</param>
internal sealed class CapturedMachine(ulong maxRam) : IMachine
{
    private RamBlockList? _ram;

    public StreamConfiguration? Configuration { get; private set; }

    public RamBlockList? Ram => Volatile.Read(ref _ram);

    public CapturedStream? Content { get; private set; }

    public void Configure(StreamConfiguration configuration) => Configuration = configuration;

    public RamBlockList AllocateRam(IReadOnlyList<RamBlockDescription> blocks)
    {
        // A machine that is captured or relayed does not run here.
        RamBlockList ram = RamBlockList.Allocate(blocks, maxRam).AllowDiscardingZeros();
        Volatile.Write(ref _ram, ram);
        return ram;
    }

    public CapturedStream? Load(IncomingStream stream, BigLockState state) => Content = stream.Load(state);

    /// <summary>Gives the whole machine to an owner who outlives this, which is empty then. After <see cref="Load"/>.</summary>
    public KeptMachine HandOver()
    {
        KeptMachine kept = new(Content ?? throw new InvalidOperationException("the machine is not here yet"));
        Content = null;
        Volatile.Write(ref _ram, null);
        return kept;
    }

    public void Dispose()
    {
        Interlocked.Exchange(ref _ram, null)?.Dispose();
        Content?.Dispose();
    }
}
