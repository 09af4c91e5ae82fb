using System.Runtime.InteropServices;

using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Handles;

internal sealed class EventChannelHandle(nint native) : VerbsHandle(native)
{
    protected override int Destroy(nint native)
    {
        LibRdmaCm.rdma_destroy_event_channel(native);
        return 0;
    }
}

/// <summary>The native id's context is a weak GC handle of this object, which is how an event finds its <see cref="CmId"/>.</summary>
internal sealed unsafe class CmIdHandle : VerbsHandle
{
    private GCHandle _self;
    private int _unacknowledged;

    internal CmIdHandle(nint native, CmId owner, EventChannelHandle channel)
        : base(native, channel)
    {
        Owner = owner;
        Channel = channel;
        _self = GCHandle.Alloc(this, GCHandleType.Weak);
        Id->context = GCHandle.ToIntPtr(_self);
        RemovedDevices.Enter(native);
    }

    internal CmId Owner { get; }

    internal EventChannelHandle Channel { get; private set; }

    /// <summary>The native id. Only within a <see cref="VerbsHandle.Use"/>.</summary>
    internal rdma_cm_id* Id => (rdma_cm_id*)handle;

    /// <summary>Events of this id that were handed out and are not acknowledged yet.</summary>
    internal int Unacknowledged => Volatile.Read(ref _unacknowledged);

    /// <summary>Whether a connection was asked for or accepted, so that the queue pair must be disconnected before it goes.</summary>
    internal bool MayBeConnected { get; set; }

    internal static CmIdHandle? From(rdma_cm_id* id) =>
        id is null || id->context == 0 ? null : (CmIdHandle?)GCHandle.FromIntPtr(id->context).Target;

    internal void CountEvent(int change) => Interlocked.Add(ref _unacknowledged, change);

    internal void MovedTo(EventChannelHandle channel)
    {
        ReplaceParent(0, channel);
        Channel = channel;
    }

    protected override int Destroy(nint native)
    {
        RemovedDevices.Leave(native);
        int error = LibRdmaCm.rdma_destroy_id(native);
        _self.Free();
        return error;
    }
}

/// <summary>An event that was got and is not acknowledged: the ids that it speaks of stay until it is.</summary>
internal sealed class CmEventHandle : VerbsHandle
{
    private readonly CmIdHandle _counted;

    internal CmEventHandle(nint native, CmIdHandle id)
        : base(native, id) => (_counted = id).CountEvent(1);

    internal CmEventHandle(nint native, CmIdHandle id, CmIdHandle listener)
        : base(native, id, listener) => (_counted = listener).CountEvent(1);

    protected override int Destroy(nint native)
    {
        int error = LibRdmaCm.rdma_ack_cm_event(native);
        _counted.CountEvent(-1);
        return error;
    }
}

internal sealed class QueuePairHandle : VerbsHandle
{
    private readonly CmIdHandle _id;

    internal QueuePairHandle(
        nint native, CmIdHandle id, ProtectionDomainHandle domain, CompletionQueueHandle sendQueue, CompletionQueueHandle receiveQueue)
        : base(native, id, domain, sendQueue, receiveQueue) => _id = id;

    // An id that is not connected any more refuses to disconnect: nothing is left to do then.
    protected override unsafe int Destroy(nint native)
    {
        nint id = (nint)_id.Id;
        if (_id.MayBeConnected)
        {
            _ = LibRdmaCm.rdma_disconnect(id);
        }

        LibRdmaCm.rdma_destroy_qp(id);
        return 0;
    }
}
