using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>
/// Where a connection's thread waits: for a completion channel, which wakes it without a detour over another thread, or for whoever calls <see cref="Set"/>.
/// One thread waits; a wait may end without cause, so its caller looks again.
/// </summary>
internal sealed class Parking : IDisposable
{
    private const int Idle = 0;
    private const int Woken = 1;
    private const int Parked = 2;

    private readonly int _event;
    private int _state;

    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public Parking()
    {
        _event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (_event < 0)
        {
            throw new ConnectFailedException($"no descriptor is left to wait with: eventfd: {ErrorText.Of(errno)}");
        }
    }

    /// <summary>Forgets what was set; what the wait is for is looked at afterwards.</summary>
    public void Reset() => Interlocked.Exchange(ref _state, Idle);

    /// <summary>Ends the wait that runs or the next one. Any thread.</summary>
    public unsafe void Set()
    {
        if (Interlocked.Exchange(ref _state, Woken) == Parked)
        {
            ulong one = 1;
            _ = write(_event, &one, sizeof(ulong));
        }
    }

    /// <summary>Waits until the descriptor is readable, <see cref="Set"/> was called since <see cref="Reset"/>, or the time has passed; false for that.</summary>
    public unsafe bool Wait(int descriptor, TimeSpan timeout, out bool readable)
    {
        readable = false;
        if (Interlocked.CompareExchange(ref _state, Parked, Idle) != Idle)
        {
            return true;
        }

        pollfd* descriptors = stackalloc pollfd[2];
        descriptors[0] = new pollfd { fd = _event, events = POLLIN };
        descriptors[1] = new pollfd { fd = descriptor, events = POLLIN };
        int milliseconds = timeout < TimeSpan.Zero ? -1 : (int)Math.Min(Math.Ceiling(timeout.TotalMilliseconds), int.MaxValue);
        int ready = poll(descriptors, 2, milliseconds);
        if (ready > 0 && descriptors[0].revents != 0)
        {
            ulong count;
            _ = read(_event, &count, sizeof(ulong));
        }

        readable = ready > 0 && descriptors[1].revents != 0;
        return ready != 0;
    }

    /// <inheritdoc/>
    public void Dispose() => _ = close(_event);
}
