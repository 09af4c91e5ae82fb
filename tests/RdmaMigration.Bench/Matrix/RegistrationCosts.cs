using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Verbs;

namespace RdmaMigration.Bench.Matrix;

/// <summary>Times the registration of guest RAM as both sides of a migration keep it: shared memory whose pages are all there.</summary>
internal static class RegistrationCosts
{
    private const long BlockBytes = 256 << 20;

    /// <summary>Regions of one size that are timed together; a device has only so many.</summary>
    private const long MostRegions = 128;

    private static readonly long[] s_regionBytes = [256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20];

    /// <exception cref="VerbsException">This host does not let as much memory be locked.</exception>
    public static IReadOnlyList<RegistrationCost> Measure()
    {
        using DeviceContext device = RdmaDevice.GetDevices()[0].Open();
        using ProtectionDomain domain = ProtectionDomain.Allocate(device);
        using RamBlock block = RamBlock.Allocate("bench", BlockBytes);
        for (ulong page = 0; page < BlockBytes; page += RamBlock.LengthUnit)
        {
            block.Slice(page, 1)[0] = 1;
        }

        Measure(domain, block, s_regionBytes[^1]); // so that the first one that counts does not pay for the first call
        return [.. s_regionBytes.Select(bytes => Measure(domain, block, bytes))];
    }

    private static unsafe RegistrationCost Measure(ProtectionDomain domain, RamBlock block, long regionBytes)
    {
        Stack<MemoryRegion> regions = new();
        try
        {
            long count = Math.Min(BlockBytes / regionBytes, MostRegions);
            double gibibytes = (double)(count * regionBytes) / (1L << 30);
            long begin = Stopwatch.GetTimestamp();
            for (long i = 0; i < count; i++)
            {
                nint address = (nint)block.Pointer + (nint)(i * regionBytes);
                regions.Push(domain.Register(address, (nuint)regionBytes, MemoryAccess.LocalWrite | MemoryAccess.RemoteWrite));
            }

            long registered = Stopwatch.GetTimestamp();
            while (regions.TryPop(out MemoryRegion? region))
            {
                region.Dispose();
            }

            return new RegistrationCost(
                regionBytes,
                Stopwatch.GetElapsedTime(begin, registered).TotalMilliseconds / gibibytes,
                Stopwatch.GetElapsedTime(registered).TotalMilliseconds / gibibytes);
        }
        finally
        {
            while (regions.TryPop(out MemoryRegion? region))
            {
                region.Dispose();
            }
        }
    }
}
