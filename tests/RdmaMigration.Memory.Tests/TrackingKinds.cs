using RdmaMigration.Linux;

namespace RdmaMigration.Memory.Tests;

/// <summary>The kinds of tracker that work on this kernel without the program's help.</summary>
internal static class TrackingKinds
{
    public static IReadOnlyList<DirtyTracking> OfThisKernel { get; } = Find();

    public static bool Works(DirtyTracking kind, RamBlock block)
    {
        try
        {
            DirtyTrackers.Create([block], kind, static _ => { }).Dispose();
            return true;
        }
        catch (MigrationException)
        {
            return false;
        }
    }

    private static DirtyTracking[] Find()
    {
        using RamBlock block = RamBlock.Allocate("pc.ram", 16 * RamBlock.LengthUnit);
        return [.. Enum.GetValues<DirtyTracking>().Where(kind => kind is not DirtyTracking.Explicit && Works(kind, block))];
    }
}
