using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>What happened to an id.</summary>
public enum CmEventType
{
    /// <summary><see cref="CmId.ResolveAddress(System.Net.IPEndPoint, TimeSpan)"/> found the device.</summary>
    AddressResolved = 0,

    /// <summary>It found none.</summary>
    AddressError = 1,

    /// <summary><see cref="CmId.ResolveRoute"/> found the path.</summary>
    RouteResolved = 2,

    /// <summary>It found none.</summary>
    RouteError = 3,

    /// <summary>Somebody wants to connect to the listener <see cref="CmEvent.ListenId"/>; <see cref="CmEvent.Id"/> is new.</summary>
    ConnectRequest = 4,

    /// <summary>The peer accepted, on an id without a queue pair.</summary>
    ConnectResponse = 5,

    /// <summary>Connecting failed.</summary>
    ConnectError = 6,

    /// <summary>The peer does not answer.</summary>
    Unreachable = 7,

    /// <summary>The peer declined.</summary>
    Rejected = 8,

    /// <summary>The connection is there.</summary>
    Established = 9,

    /// <summary>Either side ended the connection.</summary>
    Disconnected = 10,

    /// <summary>The device goes away: dispose everything that was made from it.</summary>
    DeviceRemoval = 11,

    /// <summary>A multicast group was joined.</summary>
    MulticastJoin = 12,

    /// <summary>A multicast group could not be joined, or was lost.</summary>
    MulticastError = 13,

    /// <summary>The network interface of the id changed its address.</summary>
    AddressChange = 14,

    /// <summary>The time in which late packets of an ended connection may arrive is over.</summary>
    TimewaitExit = 15,
}

/// <summary>An event that was read from an <see cref="EventChannel"/>.</summary>
/// <remarks>
/// Dispose acknowledges it, once. The ids that it speaks of are not destroyed before, so an event that is never disposed keeps
/// them (until it is collected). All properties stay readable afterwards.
/// </remarks>
public sealed unsafe class CmEvent : IDisposable
{
    private readonly CmEventHandle _handle;
    private readonly byte[] _privateData;

    private CmEvent(rdma_cm_event* native, CmId id, CmId? listener)
    {
        Type = (CmEventType)native->@event;
        Status = native->status;
        Id = id;
        ListenId = listener;
        rdma_conn_param* parameters = &native->param_conn;
        _privateData = parameters->private_data is null ? [] : new ReadOnlySpan<byte>(parameters->private_data, parameters->private_data_len).ToArray();
        ConnectionParameters = new ConnectionParameters(
            parameters->responder_resources, parameters->initiator_depth, parameters->retry_count, parameters->rnr_retry_count);
        RemoteQueuePairNumber = parameters->qp_num;
        _handle = listener is null
            ? new CmEventHandle((nint)native, id.Handle)
            : new CmEventHandle((nint)native, id.Handle, listener.Handle);
    }

    /// <summary>What happened.</summary>
    public CmEventType Type { get; }

    /// <summary>Zero, or a negative error number; for <see cref="CmEventType.Rejected"/> on InfiniBand and RoCE the peer's positive reason.</summary>
    public int Status { get; }

    /// <summary>The id that it happened to. For <see cref="CmEventType.ConnectRequest"/> a new one, which belongs to whoever reads the event.</summary>
    public CmId Id { get; }

    /// <summary>The listener that a <see cref="CmEventType.ConnectRequest"/> came to; otherwise null.</summary>
    public CmId? ListenId { get; }

    /// <summary>What the peer sent along. InfiniBand and RoCE pad it with zeros: 56 bytes of a request, 196 of an acceptance, 148 of a rejection.</summary>
    public ReadOnlySpan<byte> PrivateData => _privateData;

    /// <summary>For a request: what the peer offers, seen from this side. Other events leave it zero.</summary>
    public ConnectionParameters ConnectionParameters { get; }

    /// <summary>The number of the peer's queue pair, if the event has it.</summary>
    public uint RemoteQueuePairNumber { get; }

    /// <summary>Whether the event says that something went wrong.</summary>
    public bool IsError => Type is CmEventType.AddressError or CmEventType.RouteError or CmEventType.ConnectError or CmEventType.Unreachable
        or CmEventType.Rejected or CmEventType.DeviceRemoval or CmEventType.MulticastError;

    /// <summary>Acknowledges the event.</summary>
    public void Dispose() => _handle.Dispose();

    /// <summary>The exception that tells a person about this event, with what to do.</summary>
    /// <param name="detail">What was being done, for example the peer's address; null for the id's own addresses.</param>
    public VerbsException ToException(string? detail = null)
    {
        // The library reports a failure of its own as -1, which is no error number.
        int errno = Status < -1 ? -Status : 0;
        string? about = detail ?? Id.Describe();
        if (Type == CmEventType.Rejected && Status > 0)
        {
            about = about is null ? RejectReason(Status) : $"{about}, {RejectReason(Status)}";
        }

        return new VerbsException(NativeName(Type), errno, about);
    }

    /// <inheritdoc/>
    public override string ToString() => Status == 0 ? NativeName(Type) : $"{NativeName(Type)}, status {Status}";

    /// <summary>Wraps an event; null, with the event acknowledged, when the id is being disposed and nobody can want it.</summary>
    internal static CmEvent? Take(rdma_cm_event* native, EventChannelHandle channel)
    {
        if ((CmEventType)native->@event is CmEventType.DeviceRemoval)
        {
            RemovedDevices.Mark(native->id);
        }

        bool isRequest = native->listen_id is not null;
        // Until the event is acknowledged neither id is destroyed, so the handle behind its context can be asked.
        CmIdHandle? known = CmIdHandle.From(isRequest ? native->listen_id : native->id);
        if (known is not null && known.TryUse(out VerbsHandle.Scope scope))
        {
            using (scope)
            {
                return isRequest
                    ? new CmEvent(native, new CmId(native->id, channel), known.Owner)
                    : new CmEvent(native, known.Owner, null);
            }
        }
        nint orphan = isRequest ? (nint)native->id : 0;
        _ = LibRdmaCm.rdma_ack_cm_event((nint)native);
        if (orphan != 0)
        {
            _ = LibRdmaCm.rdma_destroy_id(orphan);
        }

        return null;
    }

    private static string RejectReason(int reason) => reason switch
    {
        8 => "reason 8: nobody listens on that port",
        10 => "reason 10: stale connection",
        28 => "reason 28: declined by the program",
        _ => $"reason {reason}",
    };

    private static string NativeName(CmEventType type) => type switch
    {
        CmEventType.AddressResolved => "RDMA_CM_EVENT_ADDR_RESOLVED",
        CmEventType.AddressError => "RDMA_CM_EVENT_ADDR_ERROR",
        CmEventType.RouteResolved => "RDMA_CM_EVENT_ROUTE_RESOLVED",
        CmEventType.RouteError => "RDMA_CM_EVENT_ROUTE_ERROR",
        CmEventType.ConnectRequest => "RDMA_CM_EVENT_CONNECT_REQUEST",
        CmEventType.ConnectResponse => "RDMA_CM_EVENT_CONNECT_RESPONSE",
        CmEventType.ConnectError => "RDMA_CM_EVENT_CONNECT_ERROR",
        CmEventType.Unreachable => "RDMA_CM_EVENT_UNREACHABLE",
        CmEventType.Rejected => "RDMA_CM_EVENT_REJECTED",
        CmEventType.Established => "RDMA_CM_EVENT_ESTABLISHED",
        CmEventType.Disconnected => "RDMA_CM_EVENT_DISCONNECTED",
        CmEventType.DeviceRemoval => "RDMA_CM_EVENT_DEVICE_REMOVAL",
        CmEventType.MulticastJoin => "RDMA_CM_EVENT_MULTICAST_JOIN",
        CmEventType.MulticastError => "RDMA_CM_EVENT_MULTICAST_ERROR",
        CmEventType.AddressChange => "RDMA_CM_EVENT_ADDR_CHANGE",
        CmEventType.TimewaitExit => "RDMA_CM_EVENT_TIMEWAIT_EXIT",
        _ => $"RDMA_CM_EVENT {(uint)type}",
    };
}
