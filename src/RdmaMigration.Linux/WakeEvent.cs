using Microsoft.Win32.SafeHandles;
using Tmds.Linux;

namespace RdmaMigration.Linux;

/// <summary>Why a wait ended.</summary>
[Flags]
public enum WakeReasons
{
    /// <summary>The deadline has passed.</summary>
    None = 0,

    /// <summary>The event was set.</summary>
    Set = 1,

    /// <summary>Something was found on the descriptor.</summary>
    Ready = 2,
}

/// <summary>
/// An event that wakes threads that wait for a descriptor: an eventfd. Set it from any thread. It stays set, for every thread that waits, until
/// <see cref="Reset"/>.
/// </summary>
public sealed unsafe class WakeEvent : IDisposable
{
    private readonly SafeFileHandle _file;

    /// <summary>Creates the event, not set.</summary>
    /// <exception cref="LinuxException">This process has no descriptor left.</exception>
    public WakeEvent()
    {
        int descriptor = CallResult.Of(LibC.eventfd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK)).OrThrow("eventfd");
        _file = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>The descriptor, readable while the event is set; for a poll over several descriptors.</summary>
    public int Descriptor => (int)_file.DangerousGetHandle();

    /// <summary>Wakes the threads that wait, and those that will. After <see cref="Dispose"/> it does nothing.</summary>
    public void Set()
    {
        bool isHeld = false;
        try
        {
            _file.DangerousAddRef(ref isHeld);
            ulong one = 1;

            // EAGAIN: the counter is full, so the event is set.
            _ = LibC.write(Descriptor, &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // Nobody waits any more.
        }
        finally
        {
            if (isHeld)
            {
                _file.DangerousRelease();
            }
        }
    }

    /// <summary>Clears the event. A thread that waits looks at what it waits for afterwards, or it would miss a set in between.</summary>
    public void Reset()
    {
        ulong count;
        _ = LibC.read(Descriptor, &count, sizeof(ulong));
    }

    /// <summary>Waits for the event, for a descriptor, or for the deadline.</summary>
    /// <param name="descriptor">The descriptor, or -1 for none.</param>
    /// <param name="events">What to wait for on it; errors are always found.</param>
    /// <param name="deadline">Until when.</param>
    /// <exception cref="InvalidOperationException">This thread may not block now (<see cref="BlockingCalls"/>).</exception>
    public WakeReasons Wait(int descriptor, PollEvents events, Deadline deadline)
    {
        Span<PollEntry> entries = [new(Descriptor, PollEvents.Readable), new(descriptor, events)];
        _ = Poll.Wait(entries, deadline);
        return (entries[0].Found != 0 ? WakeReasons.Set : 0) | (entries[1].Found != 0 ? WakeReasons.Ready : 0);
    }

    /// <summary>Waits for the event or the deadline.</summary>
    /// <returns>False when the deadline has passed.</returns>
    public bool Wait(Deadline deadline) => Wait(-1, PollEvents.None, deadline) != WakeReasons.None;

    /// <summary>Closes the descriptor. No thread may be waiting.</summary>
    public void Dispose() => _file.Dispose();
}
