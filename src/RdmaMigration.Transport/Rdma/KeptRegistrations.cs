using RdmaMigration.Memory;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// The registrations on this side of a machine that runs: made once and kept for every pass. Registering a page counts as a write to it where the kernel is
/// older than 6.2, so memory that was registered anew for each pass would be dirty after each. One thread uses it; disposed after the queue pair.
/// </summary>
internal sealed class KeptRegistrations : IDisposable
{
    private readonly IReadOnlyList<RamBlock> _blocks;
    private readonly ProtectionDomain _domain;
    private readonly List<LocalRegion> _regions = [];

    /// <summary>Registers all chunks that hold data, before the machine's writes are tracked.</summary>
    /// <param name="blocks">The machine's memory.</param>
    /// <param name="domain">Where it is registered.</param>
    /// <param name="windowBytes">The most that one registration spans.</param>
    /// <param name="throwIfLost">Called before each registration.</param>
    /// <exception cref="RegistrationException">The device cannot. Nothing stays registered.</exception>
    public KeptRegistrations(IReadOnlyList<RamBlock> blocks, ProtectionDomain domain, ulong windowBytes, Action throwIfLost)
    {
        _blocks = blocks;
        _domain = domain;
        Keys = new ChunkKeys(blocks);
        try
        {
            OutgoingPlan plan = new(blocks, windowBytes, scan: false, throwIfLost);
            OutgoingWindow window = new();
            while (plan.TryNext(window))
            {
                if (window.HasData)
                {
                    Add(window);
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Every chunk's keys.</summary>
    public ChunkKeys Keys { get; }

    /// <summary>
    /// Registers chunks that held no data before. Their pages count as written once more. The program's own access makes them so, not the kernel's for the
    /// registration, which an unprivileged userfaultfd does not let through.
    /// </summary>
    /// <exception cref="RegistrationException">The device cannot.</exception>
    public unsafe void AddLate(OutgoingWindow window)
    {
        byte* memory = _blocks[window.Block].Pointer;
        for (ulong page = window.Start; page < window.End; page += RamBlock.LengthUnit)
        {
            Interlocked.Or(ref *(int*)(memory + page), 0);
        }

        Add(window);
    }

    /// <summary>Deregisters everything.</summary>
    public void Dispose()
    {
        foreach (LocalRegion region in _regions)
        {
            region.Registration!.Dispose();
        }

        _regions.Clear();
    }

    private void Add(OutgoingWindow window)
    {
        LocalRegion region = LocalRegion.Register(_domain, _blocks[window.Block], window.Start, window.Span);
        _regions.Add(region);
        Keys.SetLocal(window.Block, window.Start, window.End, region.Key);
    }
}

/// <summary>The windows of one pass over a machine that runs.</summary>
internal sealed class KeptWindows(IWindowPlan plan, KeptRegistrations kept) : IWindowSource
{
    private readonly Stack<OutgoingWindow> _spare = new();

    public long ZeroBytes => plan.ZeroBytes;

    public OutgoingWindow? Next()
    {
        OutgoingWindow window = _spare.TryPop(out OutgoingWindow? spare) ? spare : new OutgoingWindow();
        if (!plan.TryNext(window))
        {
            return null;
        }

        if (window.HasData)
        {
            window.RemoteKey = kept.Keys.Remote(window.Block, window.Start);
            window.RemoteBase = kept.Keys.RemoteBase(window.Block);
        }

        return window;
    }

    public void Register(OutgoingWindow window)
    {
        if (kept.Keys.Local(window.Block, window.Start) == 0)
        {
            kept.AddLate(window);
        }

        window.Region = new LocalRegion(kept.Keys.Local(window.Block, window.Start), Registration: null);
    }

    public void Keep(OutgoingWindow window) =>
        kept.Keys.SetRemote(window.Block, window.Start, window.End, window.RemoteKey, window.RemoteBase);

    public void Return(OutgoingWindow window) => _spare.Push(window);

    public void Dispose()
    {
    }
}
