using RdmaMigration.Verbs.Interop;

using Tmds.Linux;

namespace RdmaMigration.Verbs;

/// <summary>The file descriptor of a channel of either kind.</summary>
internal static unsafe class PollableDescriptor
{
    /// <summary>Waits until the descriptor can be read. False when the time is up; an infinite or negative time never is.</summary>
    internal static bool Wait(int descriptor, TimeSpan timeout)
    {
        long start = Environment.TickCount64;
        while (true)
        {
            int remaining = timeout < TimeSpan.Zero ? -1 : (int)Math.Clamp(Math.Ceiling(timeout.TotalMilliseconds) - (Environment.TickCount64 - start), 0, int.MaxValue);
            pollfd entry = new() { fd = descriptor, events = LibC.POLLIN };
            int ready = LibC.poll(&entry, 1, remaining);
            if (ready >= 0)
            {
                return ready > 0;
            }

            if (LibC.errno != (int)Errno.EINTR)
            {
                throw new VerbsException("poll", LibC.errno);
            }
        }
    }

    internal static void SetNonBlocking(int descriptor)
    {
        int flags = LibC.fcntl(descriptor, LibC.F_GETFL);
        if (flags < 0 || LibC.fcntl(descriptor, LibC.F_SETFL, flags | LibC.O_NONBLOCK) < 0)
        {
            throw new VerbsException("fcntl", LibC.errno);
        }
    }
}
