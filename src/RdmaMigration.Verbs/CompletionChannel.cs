using System.Runtime.InteropServices;

using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>
/// Where completion queues announce that they have something. Read an event off it after <see cref="CompletionQueue.RequestNotification"/>;
/// acknowledging is done here and by the queues.
/// </summary>
/// <remarks>
/// Thread-safe, but for Dispose against other calls. To lose no event: request a notification, poll the queue until it is empty,
/// and only then wait on the descriptor. With edge-triggered polling read events until there is none.
/// </remarks>
public sealed unsafe class CompletionChannel : IDisposable
{
    private CompletionChannel(CompletionChannelHandle handle, int descriptor)
    {
        Handle = handle;
        FileDescriptor = descriptor;
    }

    /// <summary>Readable when an event is there. Belongs to this object.</summary>
    public int FileDescriptor { get; }

    internal CompletionChannelHandle Handle { get; }

    /// <summary>Creates a channel, whose descriptor blocks.</summary>
    /// <exception cref="VerbsException">No descriptor is left, or the device was removed.</exception>
    public static CompletionChannel Create(DeviceContext context)
    {
        using VerbsHandle.Scope scope = context.Handle.Use();
        ibv_comp_channel* channel = LibIbVerbs.ibv_create_comp_channel(context.Context);
        if (channel is null)
            throw new VerbsException("ibv_create_comp_channel", Marshal.GetLastPInvokeError(), context.DeviceName);
        return new CompletionChannel(new CompletionChannelHandle((nint)channel, context.Handle), channel->fd);
    }

    /// <summary>From now on reading an event returns at once when there is none.</summary>
    public void SetNonBlocking()
    {
        using VerbsHandle.Scope scope = Handle.Use();
        PollableDescriptor.SetNonBlocking(FileDescriptor);
    }

    /// <summary>Reads an event. Blocks until there is one, unless <see cref="SetNonBlocking"/> was called.</summary>
    /// <returns>False when there is none.</returns>
    /// <exception cref="VerbsException">The device was removed.</exception>
    public bool TryGetEvent() => TryGetEvent(out _);

    /// <summary>Reads an event. Blocks until there is one, unless <see cref="SetNonBlocking"/> was called.</summary>
    /// <param name="queue">The queue that has something; null when that queue was disposed meanwhile.</param>
    /// <returns>False when there is none.</returns>
    /// <exception cref="VerbsException">The device was removed.</exception>
    public bool TryGetEvent(out CompletionQueue? queue)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        nint native, key;
        while (LibIbVerbs.ibv_get_cq_event(scope.Native, &native, &key) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno == (int)Errno.EAGAIN)
            {
                queue = null;
                return false;
            }
            if (errno != (int)Errno.EINTR)
                throw new VerbsException("ibv_get_cq_event", errno);
        }
        queue = Handle.Count(native, key);
        return true;
    }

    /// <summary>Waits until an event can be read.</summary>
    /// <param name="timeout">Rounded up to milliseconds; negative waits for ever.</param>
    /// <returns>False when the time is up.</returns>
    public bool Wait(TimeSpan timeout)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        return PollableDescriptor.Wait(FileDescriptor, timeout);
    }

    /// <summary>Destroys the channel once no queue reports to it any more.</summary>
    public void Dispose() => Handle.Dispose();
}
