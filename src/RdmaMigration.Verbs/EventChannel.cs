using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>Where the connection manager reports what happens to the ids that were created on it.</summary>
/// <remarks>
/// Creating ids and waiting is thread-safe; reading events is for one thread at a time, since the order of events means something.
/// The channel is destroyed once no id is left on it: an accepted id stays on its listener's channel until <see cref="CmId.MigrateTo"/>.
/// </remarks>
public sealed unsafe class EventChannel : IDisposable
{
    private EventChannel(EventChannelHandle handle, int descriptor)
    {
        Handle = handle;
        FileDescriptor = descriptor;
    }

    /// <summary>Readable when an event is there. Belongs to this object.</summary>
    public int FileDescriptor { get; }

    internal EventChannelHandle Handle { get; }

    /// <summary>Creates a channel, whose descriptor blocks.</summary>
    /// <exception cref="PlatformNotSupportedException">This host cannot do RDMA; the message is <see cref="RdmaSupport.UnsupportedReason"/>.</exception>
    /// <exception cref="VerbsException">The kernel's connection manager is not there, or no descriptor is left.</exception>
    public static EventChannel Create()
    {
        if (RdmaSupport.MissingLibraryReason is { } missing)
        {
            throw new PlatformNotSupportedException(missing);
        }

        rdma_event_channel* channel = LibRdmaCm.rdma_create_event_channel();
        if (channel is null)
        {
            // The connection manager has looked for devices: a look of our own before would double what that costs.
            int errno = Marshal.GetLastPInvokeError();
            RdmaSupport.ThrowIfUnsupported();
            throw new VerbsException("rdma_create_event_channel", errno);
        }
        return new EventChannel(new EventChannelHandle((nint)channel), channel->fd);
    }

    /// <summary>From now on <see cref="TryGetEvent"/> returns at once when there is no event.</summary>
    public void SetNonBlocking()
    {
        using VerbsHandle.Scope scope = Handle.Use();
        PollableDescriptor.SetNonBlocking(FileDescriptor);
    }

    /// <summary>Reads an event. Blocks until there is one, unless <see cref="SetNonBlocking"/> was called.</summary>
    /// <param name="cmEvent">The event, which the caller disposes to acknowledge it.</param>
    /// <returns>False when there is none.</returns>
    /// <exception cref="VerbsException">The read failed.</exception>
    public bool TryGetEvent([NotNullWhen(true)] out CmEvent? cmEvent)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        while (true)
        {
            rdma_cm_event* native;
            if (LibRdmaCm.rdma_get_cm_event(scope.Native, &native) == 0)
            {
                cmEvent = CmEvent.Take(native, Handle);
                if (cmEvent is not null)
                {
                    return true;
                }

                continue;
            }
            int errno = Marshal.GetLastPInvokeError();
            if (errno == (int)Errno.EAGAIN)
            {
                cmEvent = null;
                return false;
            }
            if (errno != (int)Errno.EINTR)
            {
                throw new VerbsException("rdma_get_cm_event", errno);
            }
        }
    }

    /// <summary>Waits for an event and reads it.</summary>
    /// <returns>The event, which the caller disposes to acknowledge it.</returns>
    /// <exception cref="VerbsException">The read failed.</exception>
    public CmEvent GetEvent()
    {
        CmEvent? cmEvent;
        while (!TryGetEvent(out cmEvent))
        {
            Wait(Timeout.InfiniteTimeSpan);
        }

        return cmEvent;
    }

    /// <summary>Waits until an event can be read.</summary>
    /// <param name="timeout">Rounded up to milliseconds; negative waits for ever.</param>
    /// <returns>False when the time is up.</returns>
    public bool Wait(TimeSpan timeout)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        return PollableDescriptor.Wait(FileDescriptor, timeout);
    }

    /// <summary>Destroys the channel once no id is left on it.</summary>
    public void Dispose() => Handle.Dispose();
}
