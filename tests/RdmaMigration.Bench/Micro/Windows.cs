using RdmaMigration.Transport;

namespace RdmaMigration.Bench.Micro;

/// <summary>Windows that are there already, as with pin-all.</summary>
internal sealed class ReadyWindows(IReadOnlyList<OutgoingWindow> windows) : IWindowSource
{
    private int _next;

    public long ZeroBytes => 0;

    public OutgoingWindow? Next() => _next < windows.Count ? windows[_next++] : null;

    public void Register(OutgoingWindow window)
    {
    }

    public void Return(OutgoingWindow window)
    {
    }

    public void Dispose()
    {
    }
}

/// <summary>Windows that are cut when they are needed, as with dynamic registration, on a device that registers at no cost.</summary>
internal sealed class PlannedWindows(OutgoingPlan plan) : IWindowSource
{
    private readonly Stack<OutgoingWindow> _spare = new();

    public long ZeroBytes => plan.ZeroBytes;

    public OutgoingWindow? Next()
    {
        OutgoingWindow window = _spare.TryPop(out OutgoingWindow? spare) ? spare : new OutgoingWindow();
        return plan.TryNext(window) ? window : null;
    }

    public void Register(OutgoingWindow window)
    {
    }

    public void Return(OutgoingWindow window) => _spare.Push(window);

    public void Dispose()
    {
    }
}
