using System.Runtime.InteropServices;
using Tmds.Linux;

namespace RdmaMigration.Linux;

/// <summary>What to wait for on a descriptor, and what was found there: the flags of poll(2).</summary>
[Flags]
public enum PollEvents : short
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>There is something to read, or the end (POLLIN).</summary>
    Readable = 0x1,

    /// <summary>Bytes can be written (POLLOUT).</summary>
    Writable = 0x4,

    /// <summary>An error is pending (POLLERR). Reported whether or not it was asked for.</summary>
    Error = 0x8,

    /// <summary>The other side has closed both directions (POLLHUP). Reported whether or not it was asked for.</summary>
    HangUp = 0x10,

    /// <summary>The descriptor is not open (POLLNVAL). Reported whether or not it was asked for.</summary>
    Invalid = 0x20,

    /// <summary>The other side of a stream socket sends no more (POLLRDHUP).</summary>
    PeerClosed = 0x2000,
}

/// <summary>A descriptor to wait for, laid out as struct pollfd.</summary>
/// <param name="descriptor">The descriptor; a negative one is passed over.</param>
/// <param name="events">What to wait for.</param>
[StructLayout(LayoutKind.Sequential)]
public struct PollEntry(int descriptor, PollEvents events)
{
    /// <summary>The descriptor; a negative one is passed over.</summary>
    public int Descriptor = descriptor;

    /// <summary>What to wait for.</summary>
    public PollEvents Events = events;

    /// <summary>What was found.</summary>
    public PollEvents Found;
}

/// <summary>Waits for descriptors.</summary>
public static unsafe class Poll
{
    /// <summary>Waits until something is found on one of the descriptors, or the deadline passes. An interrupted wait goes on.</summary>
    /// <returns>Entries on which something was found; 0 when the deadline has passed.</returns>
    /// <exception cref="InvalidOperationException">This thread may not block now (<see cref="BlockingCalls"/>), and the deadline has not passed.</exception>
    /// <exception cref="LinuxException">The kernel refuses, such as for want of memory.</exception>
    public static int Wait(Span<PollEntry> entries, Deadline deadline)
    {
        int milliseconds = deadline.Milliseconds;
        if (milliseconds != 0)
        {
            BlockingCalls.AssertAllowed();
        }

        fixed (PollEntry* first = entries)
        {
            while (true)
            {
                CallResult found = CallResult.Of(LibC.poll((pollfd*)first, (uint)entries.Length, milliseconds));

                // poll(2) advises to go on after EAGAIN as after EINTR. It was seen when a process continued after SIGSTOP.
                if (found.Error is not (Errno.EINTR or Errno.EAGAIN))
                {
                    return found.OrThrow("poll");
                }

                milliseconds = deadline.Milliseconds;
            }
        }
    }

    /// <summary>Waits for one descriptor.</summary>
    /// <inheritdoc cref="Wait(Span{PollEntry}, Deadline)"/>
    /// <returns>What was found; <see cref="PollEvents.None"/> when the deadline has passed.</returns>
    public static PollEvents Wait(int descriptor, PollEvents events, Deadline deadline)
    {
        PollEntry entry = new(descriptor, events);
        _ = Wait(new Span<PollEntry>(ref entry), deadline);
        return entry.Found;
    }
}
