using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// Where the windows of each pass over RAM come from, and their registrations on this side. One thread uses it; disposed after the queue pair.
/// </summary>
internal interface IPassSource : IDisposable
{
    /// <summary>Bytes that need not be sent because they are zero, in all passes, as far as it has looked. Any thread may read it.</summary>
    long ZeroBytes { get; }

    /// <summary>The destination's blocks are known.</summary>
    void SetDestination(IReadOnlyList<DestinationBlock> blocks)
    {
    }

    /// <summary>The windows of a pass over all of RAM.</summary>
    IWindowSource All();

    /// <summary>The windows of a pass over some pages.</summary>
    IWindowSource Of(IPageSet pages);
}

/// <summary>One pass over memory that does not change: a captured machine.</summary>
internal sealed class SinglePass(IWindowSource windows) : IPassSource
{
    public long ZeroBytes => windows.ZeroBytes;

    public IWindowSource All() => windows;

    public IWindowSource Of(IPageSet pages) => throw new InvalidOperationException("a machine that does not run is sent in one pass");

    public void Dispose() => windows.Dispose();
}

/// <summary>Passes over memory that a program writes meanwhile. Its registrations stay from one pass to the next.</summary>
internal sealed class WrittenPasses(
    IReadOnlyList<RamBlock> blocks, KeptRegistrations kept, ulong windowBytes, bool scan, Action throwIfLost) : IPassSource
{
    private readonly object _gate = new();
    private KeptWindows? _current;
    private long _zeroBefore;

    public long ZeroBytes
    {
        get
        {
            lock (_gate)
            {
                return _zeroBefore + (_current?.ZeroBytes ?? 0);
            }
        }
    }

    /// <summary>With pin-all every chunk has its key from the start.</summary>
    public void SetDestination(IReadOnlyList<DestinationBlock> destination)
    {
        for (int i = 0; i < destination.Count; i++)
        {
            kept.Keys.SetRemote(i, 0, destination[i].Length, destination[i].RemoteKey, destination[i].Address);
        }
    }

    public IWindowSource All()
    {
        // Ranges are cleared whole before their data is written, which is right for the first pass alone.
        return _current is null
            ? Begin(new OutgoingPlan(blocks, windowBytes, scan, throwIfLost, kept.Keys))
            : throw new InvalidOperationException("all of RAM is sent first, then pages");
    }

    public IWindowSource Of(IPageSet pages) => Begin(new PagePlan(blocks, pages, windowBytes, scan, kept.Keys, throwIfLost));

    public void Dispose() => kept.Dispose();

    private KeptWindows Begin(IWindowPlan plan)
    {
        lock (_gate)
        {
            _zeroBefore = ZeroBytes;
            return _current = new KeptWindows(plan, kept);
        }
    }
}
