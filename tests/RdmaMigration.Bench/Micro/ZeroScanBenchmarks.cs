using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using RdmaMigration.Memory;

namespace RdmaMigration.Bench.Micro;

/// <summary>
/// Zero RAM that is all there, far larger than the caches, scanned in the pieces in which it is sent; beside a loop in C that only reads it. The bar: the
/// scan reads at 0.9 of the loop's rate or more.
/// </summary>
public partial class ZeroScanBenchmarks
{
    private const int BlockBytes = 1 << 30;
    private const int Chunk = 1 << 20;
    private const int Page = 4096;

    private RamBlock? _block;

    [GlobalSetup]
    public void Allocate()
    {
        _block = RamBlock.Allocate("scanned", BlockBytes);
        // Written, so that every page exists: the kernel would give one page for all that is only read.
        Whole.Fill(1);
        Whole.Clear();
    }

    [GlobalCleanup]
    public void Free() => _block?.Dispose();

    [Benchmark(Baseline = true, Description = "read, C")]
    [Bytes(BlockBytes)]
    public unsafe ulong Read() => MemoryRead(_block!.Pointer, BlockBytes / sizeof(ulong));

    [Benchmark(Description = "ZeroScan, by chunk")]
    [Bytes(BlockBytes)]
    public bool ScanChunks() => Scan(Chunk);

    [Benchmark(Description = "ZeroScan, by page")]
    [Bytes(BlockBytes)]
    public bool ScanPages() => Scan(Page);

    private Span<byte> Whole => _block!.Slice(0, BlockBytes);

    private bool Scan(int step)
    {
        ReadOnlySpan<byte> whole = Whole;
        bool zero = true;
        for (int at = 0; at < BlockBytes; at += step)
        {
            zero &= ZeroScan.IsZero(whole.Slice(at, step));
        }

        return zero ? true : throw new InvalidOperationException("the RAM was zero");
    }

    [LibraryImport("memory_read", EntryPoint = "memory_read")]
    private static unsafe partial ulong MemoryRead(void* words, nuint count);
}
