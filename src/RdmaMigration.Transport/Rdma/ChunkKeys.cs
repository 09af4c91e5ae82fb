using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// The keys that each chunk of a machine that runs has, on this side and at the destination: they stay from one pass to the next. 8 bytes a MiB. One thread
/// uses it.
/// </summary>
internal sealed class ChunkKeys
{
    private readonly Keys[][] _chunks;
    private readonly ulong[] _remoteBases;

    /// <summary>No chunk has a key.</summary>
    public ChunkKeys(IReadOnlyList<RamBlock> blocks)
    {
        _chunks = [.. blocks.Select(block => new Keys[(block.Length + Chunk.Size - 1) >> Chunk.Shift])];
        _remoteBases = new ulong[blocks.Count];
    }

    /// <summary>This side's key of the chunk at an offset; 0 for none.</summary>
    public uint Local(int block, ulong offset) => _chunks[block][offset >> Chunk.Shift].Local;

    /// <summary>The destination's key of the chunk at an offset; 0 for none.</summary>
    public uint Remote(int block, ulong offset) => _chunks[block][offset >> Chunk.Shift].Remote;

    /// <summary>Where the destination has the block's first byte, under every key of the block.</summary>
    public ulong RemoteBase(int block) => _remoteBases[block];

    /// <summary>No window may span both chunks: they have other keys.</summary>
    public bool Differ(int block, ulong offset, ulong other) => _chunks[block][offset >> Chunk.Shift] != _chunks[block][other >> Chunk.Shift];

    /// <summary>Sets this side's key of the chunks in [start, end).</summary>
    public void SetLocal(int block, ulong start, ulong end, uint key)
    {
        foreach (ref Keys chunk in Range(block, start, end))
        {
            chunk.Local = key;
        }
    }

    /// <summary>Sets the destination's key of the chunks in [start, end).</summary>
    public void SetRemote(int block, ulong start, ulong end, uint key, ulong blockAddress)
    {
        _remoteBases[block] = blockAddress;
        foreach (ref Keys chunk in Range(block, start, end))
        {
            chunk.Remote = key;
        }
    }

    private Span<Keys> Range(int block, ulong start, ulong end)
    {
        int first = (int)(start >> Chunk.Shift);
        return _chunks[block].AsSpan(first, (int)((end + Chunk.Size - 1) >> Chunk.Shift) - first);
    }

    private record struct Keys(uint Local, uint Remote);
}
