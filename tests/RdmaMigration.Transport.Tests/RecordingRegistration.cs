using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>Hands out one key, and holds every request against the block it is for.</summary>
internal sealed class RecordingRegistration : IRamRegistration
{
    public uint Key { get; } = 0x1234;

    public List<string> Calls { get; } = [];

    public uint RegisterBlock(RamBlock block)
    {
        Calls.Add($"{block.Name} whole");
        return Key;
    }

    public uint RegisterChunks(RamBlock block, ulong first, ulong last)
    {
        Assert.True(first <= last && last <= (block.Length - 1) >> Chunk.Shift, $"chunks {first} to {last} of a block of {block.Length} bytes");
        Calls.Add($"{block.Name} {first}-{last}");
        return Key;
    }

    public bool UnregisterChunk(RamBlock block, ulong chunk)
    {
        Calls.Add($"{block.Name} back {chunk}");
        return chunk < 100;
    }
}
