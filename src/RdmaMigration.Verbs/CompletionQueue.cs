using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>Where finished work requests are reported.</summary>
/// <remarks>
/// Poll and RequestNotification may be called by several threads and do not allocate. They are cheap because they take no
/// reference: the owner makes sure that no thread is inside them when it calls Dispose. A call after Dispose is refused.
/// </remarks>
public sealed unsafe class CompletionQueue : IDisposable
{
    private nint _queue;

    private CompletionQueue(ibv_cq* queue)
    {
        _queue = (nint)queue;
        Capacity = queue->cqe;
    }

    /// <summary>Entries that it can hold: at least as many as were asked for. A queue that overflows breaks its queue pairs.</summary>
    public int Capacity { get; }

    internal CompletionQueueHandle Handle { get; private set; } = null!;

    /// <summary>Creates a queue.</summary>
    /// <param name="context">The device.</param>
    /// <param name="entries">From 1 to <see cref="DeviceAttributes.MaxCompletionQueueEntries"/>; the device may round up.</param>
    /// <param name="channel">Where it announces completions; null for a queue that is only polled.</param>
    /// <exception cref="VerbsException">The device has none left, or not that many entries.</exception>
    public static CompletionQueue Create(DeviceContext context, int entries, CompletionChannel? channel)
    {
        using VerbsHandle.Scope scope = context.Handle.Use();
        nint key = CompletionQueueHandle.NextKey();
        if (channel is null)
        {
            ibv_cq* silent = CreateNative(context, entries, key, 0);
            return new CompletionQueue(silent) { Handle = new CompletionQueueHandle((nint)silent, context.Handle, key) };
        }
        using VerbsHandle.Scope channelScope = channel.Handle.Use();
        ibv_cq* native = CreateNative(context, entries, key, channelScope.Native);
        CompletionQueue queue = new(native);
        channel.Handle.Add(key, queue);
        queue.Handle = new CompletionQueueHandle((nint)native, context.Handle, channel.Handle, key);
        return queue;
    }

    /// <summary>Takes finished work requests off the queue. Never waits.</summary>
    /// <param name="completions">Where they are written, oldest first.</param>
    /// <returns>How many were written; zero when the queue is empty.</returns>
    /// <exception cref="VerbsException">The queue has overflowed or the device was removed.</exception>
    public int Poll(Span<WorkCompletion> completions)
    {
        nint queue = Native;
        int count;
        fixed (WorkCompletion* first = completions)
        {
            count = Shim.rdmamig_poll_cq(queue, completions.Length, first);
        }

        GC.KeepAlive(this);
        return count >= 0 ? count : throw new VerbsException("ibv_poll_cq", (int)Errno.EIO, advice: "The queue has overflowed, or the device was removed.");
    }

    /// <summary>Asks for one event on the channel when the next completion arrives. Poll once more before waiting for it.</summary>
    /// <param name="solicitedOnly">Only for failures and receives that the peer marked as solicited.</param>
    /// <exception cref="VerbsException">The device was removed.</exception>
    public void RequestNotification(bool solicitedOnly = false)
    {
        int errno = Math.Abs(Shim.rdmamig_req_notify_cq(Native, solicitedOnly ? 1 : 0));
        GC.KeepAlive(this);
        if (errno != 0)
        {
            throw new VerbsException("ibv_req_notify_cq", errno);
        }
    }

    /// <summary>Destroys the queue once no queue pair uses it any more.</summary>
    public void Dispose()
    {
        _queue = 0;
        Handle.Dispose();
    }

    private nint Native
    {
        get
        {
            nint queue = Volatile.Read(ref _queue);
            ObjectDisposedException.ThrowIf(queue == 0, this);
            return queue;
        }
    }

    private static ibv_cq* CreateNative(DeviceContext context, int entries, nint key, nint channel)
    {
        ibv_cq* queue = LibIbVerbs.ibv_create_cq(context.Context, entries, key, channel, comp_vector: 0);
        return queue is not null ? queue : throw new VerbsException("ibv_create_cq", Marshal.GetLastPInvokeError(), $"{context.DeviceName}, {entries} entries");
    }
}
