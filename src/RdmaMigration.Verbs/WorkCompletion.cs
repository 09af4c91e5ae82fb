using System.Buffers.Binary;

using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>How a work request ended.</summary>
public enum WorkCompletionStatus
{
    /// <summary>Done.</summary>
    Success = 0,

    /// <summary>A message does not fit the buffers that were posted for it, or exceeds what the port can send.</summary>
    LocalLengthError = 1,

    /// <summary>The queue pair was inconsistent.</summary>
    LocalQueuePairOperationError = 2,

    /// <summary>Obsolete: the end-to-end context was inconsistent.</summary>
    LocalEndToEndContextOperationError = 3,

    /// <summary>A local segment is not within a memory region that allows this.</summary>
    LocalProtectionError = 4,

    /// <summary>The queue pair had failed or was disconnected before the request was done.</summary>
    WorkRequestFlushed = 5,

    /// <summary>Binding a memory window failed.</summary>
    MemoryWindowBindError = 6,

    /// <summary>The responder answered with something unexpected.</summary>
    BadResponse = 7,

    /// <summary>The local buffer of incoming data was not accessible.</summary>
    LocalAccessError = 8,

    /// <summary>The responder found the request invalid.</summary>
    RemoteInvalidRequest = 9,

    /// <summary>The remote key, address or length was refused.</summary>
    RemoteAccessError = 10,

    /// <summary>The responder could not carry the request out.</summary>
    RemoteOperationError = 11,

    /// <summary>The peer's device did not answer, however often it was tried: its host or the path is gone.</summary>
    TransportRetryExceeded = 12,

    /// <summary>The peer had no receive posted, however often it was tried.</summary>
    ReceiverNotReadyRetryExceeded = 13,

    /// <summary>Obsolete: reliable datagram domain violation.</summary>
    LocalReliableDatagramDomainViolation = 14,

    /// <summary>Obsolete: invalid reliable datagram request.</summary>
    RemoteInvalidReadRequest = 15,

    /// <summary>The responder aborted the operation.</summary>
    RemoteAborted = 16,

    /// <summary>Obsolete: invalid end-to-end context number.</summary>
    InvalidEndToEndContextNumber = 17,

    /// <summary>Obsolete: invalid end-to-end context state.</summary>
    InvalidEndToEndContextState = 18,

    /// <summary>The device failed.</summary>
    Fatal = 19,

    /// <summary>No response in time.</summary>
    ResponseTimeout = 20,

    /// <summary>Another failure of the transport.</summary>
    GeneralError = 21,

    /// <summary>Tag matching failed.</summary>
    TagMatchingError = 22,

    /// <summary>A rendezvous of tag matching did not finish.</summary>
    TagMatchingRendezvousIncomplete = 23,
}

/// <summary>What a finished work request was.</summary>
public enum WorkCompletionOpcode
{
    /// <summary>A send.</summary>
    Send = 0,

    /// <summary>An RDMA write, with immediate data or without.</summary>
    RdmaWrite = 1,

    /// <summary>An RDMA read.</summary>
    RdmaRead = 2,

    /// <summary>A receive that took a peer's send.</summary>
    Receive = 1 << 7,

    /// <summary>A receive that took the immediate data of a peer's RDMA write.</summary>
    ReceiveRdmaWithImmediate = Receive + 1,
}

/// <summary>A finished work request, laid out as the native one. Unless it succeeded only <see cref="Id"/> and <see cref="Status"/> mean anything.</summary>
public readonly struct WorkCompletion
{
#pragma warning disable CS0649 // the device fills it
    private readonly ibv_wc _native;
#pragma warning restore CS0649

    /// <summary>The number that the work request was posted with.</summary>
    public ulong Id => _native.wr_id;

    /// <summary>How it ended.</summary>
    public WorkCompletionStatus Status => (WorkCompletionStatus)_native.status;

    /// <summary>Whether <see cref="Status"/> is <see cref="WorkCompletionStatus.Success"/>.</summary>
    public bool IsSuccess => Status == WorkCompletionStatus.Success;

    /// <summary>What it was.</summary>
    public WorkCompletionOpcode Opcode => (WorkCompletionOpcode)_native.opcode;

    /// <summary>Bytes received or read; not set for sends and writes.</summary>
    public uint ByteLength => _native.byte_len;

    /// <summary>Whether the peer sent immediate data.</summary>
    public bool HasImmediateData => (_native.wc_flags & Constants.IBV_WC_WITH_IMM) != 0;

    /// <summary>The peer's immediate data, in host byte order. Only when <see cref="HasImmediateData"/>.</summary>
    public uint ImmediateData => BinaryPrimitives.ReverseEndianness(_native.imm_data);

    /// <summary>The local queue pair's number.</summary>
    public uint QueuePairNumber => _native.qp_num;

    /// <summary>The device's own error number, for its vendor.</summary>
    public uint VendorError => _native.vendor_err;

    /// <inheritdoc/>
    public override string ToString() =>
        IsSuccess ? $"work request {Id}: {Opcode}" : $"work request {Id}: {WorkCompletionStatusNames.Describe(Status)}";
}
