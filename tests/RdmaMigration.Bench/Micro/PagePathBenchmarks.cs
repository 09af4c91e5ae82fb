using BenchmarkDotNet.Attributes;
using RdmaMigration.Memory;
using RdmaMigration.Transport;

namespace RdmaMigration.Bench.Micro;

/// <summary>
/// The page path on one core against a queue that completes at once; one operation is one chunk of 1 MiB. The bar: with pin-all at least 40 GiB/s and less
/// than 2 µs a chunk, and nothing allocated.
/// </summary>
public class PagePathBenchmarks
{
    private const int Chunk = 1 << 20;
    private const int WindowChunks = 64;

    /// <summary>64 GiB: what a whole run costs once no longer shows.</summary>
    private const int PinnedChunks = 1 << 16;

    private const int DynamicChunks = 1 << 10;

    private readonly ImmediateLink _link = new();
    private OutgoingControl _control = null!;
    private RamBlock _large = null!;
    private RamBlock _dense = null!;
    private OutgoingWindow[] _pinned = [];

    [GlobalSetup]
    public void Prepare()
    {
        _control = new OutgoingControl(_link);
        _large = RamBlock.Allocate("untouched", (ulong)PinnedChunks * Chunk);
        _dense = RamBlock.Allocate("dense", (ulong)DynamicChunks * Chunk);
        for (int i = 0; i < DynamicChunks; i++)
        {
            _dense.Slice((ulong)i * Chunk, Chunk).Fill(1);
        }

        _pinned = [.. Enumerable.Range(0, PinnedChunks / WindowChunks).Select(PinnedWindow)];
    }

    [GlobalCleanup]
    public void Free()
    {
        _large.Dispose();
        _dense.Dispose();
    }

    [Benchmark(OperationsPerInvoke = PinnedChunks, Description = "pin-all")]
    [Bytes(Chunk)]
    public long Pinned()
    {
        using ReadyWindows windows = new(_pinned);
        new RamSender(_link, _link, _control, [_large], [new DestinationBlock(0, 0, _large.Length, RemoteKey: 7)], windows, limit: null).Run();
        return _link.WrittenBytes;
    }

    [Benchmark(OperationsPerInvoke = DynamicChunks, Description = "dynamic: plan, zero scan, requests for keys")]
    [Bytes(Chunk)]
    public long Dynamic()
    {
        using PlannedWindows windows = new(new OutgoingPlan([_dense], WindowChunks * (ulong)Chunk, scan: true, static () => { }));
        new RamSender(_link, _link, _control, [_dense], [new DestinationBlock(0, 0, _dense.Length, RemoteKey: 0)], windows, limit: null).Run();
        return _link.WrittenBytes;
    }

    private static OutgoingWindow PinnedWindow(int index)
    {
        OutgoingWindow window = new();
        window.Reset(block: 0);
        for (ulong i = 0; i < WindowChunks; i++)
        {
            ulong start = (((ulong)index * WindowChunks) + i) * Chunk;
            window.Add(new RamRun(start, Chunk), start, start + Chunk);
        }

        window.Region = new LocalRegion(Key: 7, Registration: null);
        return window;
    }
}
