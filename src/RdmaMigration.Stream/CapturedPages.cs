using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>Every page of every block of a capture, but of those that are left out.</summary>
internal sealed class CapturedPages(CapturedStream stream) : IPageSet
{
    public bool IsWhole => stream.LeftOut.Count == 0;

    public bool TryNext(int block, ulong from, out ulong start, out ulong end)
    {
        start = from;
        end = stream.RamBlocks[block].Length;
        return from < end && !stream.IsLeftOut(block);
    }
}
