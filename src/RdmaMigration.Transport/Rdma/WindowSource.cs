using RdmaMigration.Memory;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>Cuts RAM into windows. One thread uses it.</summary>
internal interface IWindowPlan
{
    /// <summary>Bytes that need not be sent, as far as the plan has come. Any thread may read it.</summary>
    long ZeroBytes { get; }

    /// <summary>Fills the next window; false when there is none.</summary>
    /// <exception cref="IOException">The kernel could not say where the data is.</exception>
    /// <exception cref="ConnectionLostException">The destination is lost.</exception>
    bool TryNext(OutgoingWindow window);
}

/// <summary>Where the page path gets its windows from, and their registration on this side. One thread uses it; disposed after the queue pair.</summary>
internal interface IWindowSource : IDisposable
{
    /// <summary>Bytes that need not be sent, as far as it has looked. Any thread may read it.</summary>
    long ZeroBytes { get; }

    /// <summary>The next window, with the destination's key if that is known; null when there is none.</summary>
    OutgoingWindow? Next();

    /// <summary>Sees to the window's <see cref="OutgoingWindow.Region"/>.</summary>
    /// <exception cref="RegistrationException">The device cannot.</exception>
    void Register(OutgoingWindow window);

    /// <summary>The destination has answered with the window's key.</summary>
    void Keep(OutgoingWindow window)
    {
    }

    /// <summary>All writes of the window are done. Windows are returned in the order in which they were registered.</summary>
    void Return(OutgoingWindow window);
}

/// <summary>Windows that are made when they are needed and released when they are written: only the memory under way is pinned.</summary>
internal sealed class LazyWindows(IReadOnlyList<RamBlock> blocks, OutgoingPlan plan, ProtectionDomain domain) : IWindowSource
{
    private readonly Stack<OutgoingWindow> _spare = new();
    private readonly Queue<OutgoingWindow> _registered = new();

    public long ZeroBytes => plan.ZeroBytes;

    public OutgoingWindow? Next()
    {
        OutgoingWindow window = _spare.TryPop(out OutgoingWindow? spare) ? spare : new OutgoingWindow();
        return plan.TryNext(window) ? window : null;
    }

    public void Register(OutgoingWindow window)
    {
        window.Region = LocalRegion.Register(domain, blocks[window.Block], window.Start, window.Span);
        _registered.Enqueue(window);
    }

    public void Return(OutgoingWindow window)
    {
        if (window.HasData)
        {
            Deregister(_registered.Dequeue());
        }

        _spare.Push(window);
    }

    public void Dispose()
    {
        while (_registered.TryDequeue(out OutgoingWindow? window))
        {
            Deregister(window);
        }
    }

    private void Deregister(OutgoingWindow window)
    {
        window.Region.Registration!.Dispose();
        window.DiscardGaps(blocks[window.Block]);
    }
}

/// <summary>
/// Pin-all: all windows are made at the start, and those that are dense are registered then and stay registered. A window with holes is registered only while
/// it is under way, because registering it puts memory behind the holes.
/// </summary>
internal sealed class PinnedWindows : IWindowSource
{
    private readonly IReadOnlyList<RamBlock> _blocks;
    private readonly ProtectionDomain _domain;
    private readonly List<OutgoingWindow> _windows = [];
    private int _next;

    /// <exception cref="RegistrationException">The device cannot. Nothing stays registered.</exception>
    public PinnedWindows(IReadOnlyList<RamBlock> blocks, OutgoingPlan plan, ProtectionDomain domain)
    {
        _blocks = blocks;
        _domain = domain;
        try
        {
            OutgoingWindow window = new();
            while (plan.TryNext(window))
            {
                _windows.Add(window);
                if (!window.HasHole)
                {
                    Register(window);
                }

                window = new OutgoingWindow();
            }
        }
        catch
        {
            Dispose();
            throw;
        }

        ZeroBytes = plan.ZeroBytes;
    }

    public long ZeroBytes { get; }

    public OutgoingWindow? Next() => _next < _windows.Count ? _windows[_next++] : null;

    public void Register(OutgoingWindow window)
    {
        if (window.HasData && window.Region.Registration is null)
        {
            window.Region = LocalRegion.Register(_domain, _blocks[window.Block], window.Start, window.Span);
        }
    }

    public void Return(OutgoingWindow window)
    {
        if (window.HasHole)
        {
            Deregister(window);
        }
    }

    public void Dispose()
    {
        foreach (OutgoingWindow window in _windows)
        {
            Deregister(window);
        }

        _windows.Clear();
    }

    private void Deregister(OutgoingWindow window)
    {
        if (window.Region.Registration is { } registration)
        {
            registration.Dispose();
            window.Region = default;
            window.DiscardGaps(_blocks[window.Block]);
        }
    }
}
