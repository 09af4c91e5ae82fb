using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>Memory that the device may read for this side. The default value is none.</summary>
internal readonly record struct LocalRegion(uint Key, IDisposable? Registration)
{
    /// <exception cref="RegistrationException">The device cannot.</exception>
    public static unsafe LocalRegion Register(ProtectionDomain domain, RamBlock block, ulong offset, ulong length)
    {
        long began = Stopwatch.GetTimestamp();
        try
        {
            MemoryRegion region = domain.Register((nint)(block.Pointer + offset), (nuint)length, MemoryAccess.None);
            TransportMetrics.OnRegistered(isSource: true, length, began);
            return new LocalRegion(region.LocalKey, region);
        }
        catch (VerbsException failed)
        {
            throw new RegistrationException($"cannot register {length} bytes at offset {offset} of RAM block '{block.Name}': {failed.Message}", failed);
        }
    }
}
