using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>
/// Where completion queues announce that they have something. Read an event off it after <see cref="CompletionQueue.RequestNotification"/>;
/// it is acknowledged at once.
/// </summary>
/// <remarks>
/// Thread-safe. Reading an event does not allocate and is cheap because it takes no reference: the owner makes sure that no thread is inside it when it
/// calls Dispose. A call after Dispose is refused. To lose no event: request a notification, poll the queue until it is empty,
/// and only then wait on the descriptor. With edge-triggered polling read events until there is none.
/// </remarks>
public sealed unsafe class CompletionChannel : IDisposable
{
    private nint _channel;

    private CompletionChannel(CompletionChannelHandle handle, nint native, int descriptor)
    {
        _channel = native;
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
        {
            throw new VerbsException("ibv_create_comp_channel", Marshal.GetLastPInvokeError(), context.DeviceName);
        }

        return new CompletionChannel(new CompletionChannelHandle((nint)channel, context.Handle), (nint)channel, channel->fd);
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
    public bool TryGetEvent() => TryGetEvent(out nint _);

    /// <summary>Reads an event. Blocks until there is one, unless <see cref="SetNonBlocking"/> was called.</summary>
    /// <param name="queue">The queue that has something; null when that queue was disposed meanwhile.</param>
    /// <returns>False when there is none.</returns>
    /// <exception cref="VerbsException">The device was removed.</exception>
    public bool TryGetEvent(out CompletionQueue? queue)
    {
        bool got = TryGetEvent(out nint key);
        queue = got ? Handle.Find(key) : null;
        return got;
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
    public void Dispose()
    {
        _channel = 0;
        Handle.Dispose();
    }

    private nint Native
    {
        get
        {
            nint channel = Volatile.Read(ref _channel);
            ObjectDisposedException.ThrowIf(channel == 0, this);
            return channel;
        }
    }

    private bool TryGetEvent(out nint key)
    {
        nint queue, context;
        while (LibIbVerbs.ibv_get_cq_event(Native, &queue, &context) != 0)
        {
            int errno = Marshal.GetLastSystemError();
            if (errno == (int)Errno.EAGAIN)
            {
                key = 0;
                return false;
            }
            if (errno != (int)Errno.EINTR)
            {
                throw new VerbsException("ibv_get_cq_event", errno);
            }
        }
        // The queue is still there: its destruction waits for this.
        LibIbVerbs.ibv_ack_cq_events(queue, 1);
        GC.KeepAlive(this);
        key = context;
        return true;
    }
}
