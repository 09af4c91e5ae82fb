using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>Memory that a device may reach. Does not own the memory: dispose the region before the memory is unmapped.</summary>
/// <remarks>Thread-safe. The caller disposes it, after the last work request that uses it has completed.</remarks>
public sealed unsafe class MemoryRegion : IDisposable
{
    internal MemoryRegion(ibv_mr* region, MemoryRegionHandle handle)
    {
        Handle = handle;
        Address = region->addr;
        Length = region->length;
        LocalKey = region->lkey;
        RemoteKey = region->rkey;
    }

    /// <summary>Where the memory begins.</summary>
    public nint Address { get; }

    /// <summary>In bytes.</summary>
    public nuint Length { get; }

    /// <summary>The key for work requests of this process.</summary>
    public uint LocalKey { get; }

    /// <summary>The key for a peer that reads or writes this memory.</summary>
    public uint RemoteKey { get; }

    internal MemoryRegionHandle Handle { get; }

    /// <summary>Deregisters and unpins the memory. From then on the keys are refused, also to a peer.</summary>
    public void Dispose() => Handle.Dispose();
}
