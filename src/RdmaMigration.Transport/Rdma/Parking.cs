using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// Where a connection's thread waits: for a completion channel, which wakes it without a detour over another thread, or for a call of <see cref="Set"/>.
/// One thread waits; a wait may end without cause, so its caller looks again.
/// </summary>
internal sealed class Parking : IDisposable
{
    private const int Idle = 0;
    private const int Woken = 1;
    private const int Parked = 2;

    private readonly WakeEvent _event;
    private int _state;

    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public Parking()
    {
        try
        {
            _event = new WakeEvent();
        }
        catch (LinuxException failed)
        {
            throw new ConnectFailedException($"cannot wait for a connection: {failed.Message}", failed);
        }
    }

    /// <summary>Clears an earlier <see cref="Set"/>. The caller then looks at what it waits for, or it would miss a set in between.</summary>
    public void Reset() => Interlocked.Exchange(ref _state, Idle);

    /// <summary>Ends the wait that runs or the next one. Any thread. A system call is made only when the thread is parked.</summary>
    public void Set()
    {
        if (Interlocked.Exchange(ref _state, Woken) == Parked)
        {
            _event.Set();
        }
    }

    /// <summary>
    /// Waits until the descriptor is readable, <see cref="Set"/> was called since <see cref="Reset"/>, or the deadline has passed; false for that.
    /// </summary>
    public bool Wait(int descriptor, Deadline deadline, out bool readable)
    {
        readable = false;
        if (Interlocked.CompareExchange(ref _state, Parked, Idle) != Idle)
        {
            return true;
        }

        WakeReasons reasons = _event.Wait(descriptor, PollEvents.Readable, deadline);
        if (reasons.HasFlag(WakeReasons.Set))
        {
            _event.Reset();
        }

        readable = reasons.HasFlag(WakeReasons.Ready);
        return reasons != WakeReasons.None;
    }

    /// <inheritdoc/>
    public void Dispose() => _event.Dispose();
}
