using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

public sealed unsafe partial class CmId
{
    /// <summary>
    /// Creates the queue pair of this id (reliable connection) and makes it ready for receives to be posted. The connection manager
    /// takes it through its states when the id connects. One per id.
    /// </summary>
    /// <param name="domain">A domain of this id's <see cref="Device"/>.</param>
    /// <param name="options">Queues and sizes.</param>
    /// <exception cref="VerbsException">The id has no device yet or has a queue pair, or the device cannot do these sizes.</exception>
    public QueuePair CreateQueuePair(ProtectionDomain domain, in QueuePairOptions options)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        using VerbsHandle.Scope domainScope = domain.Handle.Use();
        using VerbsHandle.Scope sendScope = options.SendQueue.Handle.Use();
        using VerbsHandle.Scope receiveScope = options.ReceiveQueue.Handle.Use();
        ibv_qp_init_attr attributes = new()
        {
            send_cq = sendScope.Native,
            recv_cq = receiveScope.Native,
            qp_type = Constants.IBV_QPT_RC,
            sq_sig_all = options.SignalAll ? 1 : 0,
            cap = new ibv_qp_cap
            {
                max_send_wr = options.MaxSend,
                max_recv_wr = options.MaxReceive,
                max_send_sge = options.MaxSendSge,
                max_recv_sge = options.MaxReceiveSge,
                max_inline_data = options.MaxInlineData,
            },
        };
        if (LibRdmaCm.rdma_create_qp(scope.Native, domainScope.Native, &attributes) != 0)
        {
            throw Failed("rdma_create_qp");
        }

        ibv_qp* native = Handle.Id->qp;
        QueuePairHandle handle = new((nint)native, Handle, domain.Handle, options.SendQueue.Handle, options.ReceiveQueue.Handle);
        return new QueuePair(native, handle, attributes.cap);
    }

    /// <summary>
    /// Asks the peer for a connection. Ends in <see cref="CmEventType.Established"/> (with the peer's private data),
    /// <see cref="CmEventType.Rejected"/>, <see cref="CmEventType.Unreachable"/> or <see cref="CmEventType.ConnectError"/>.
    /// </summary>
    /// <param name="parameters">What this side offers.</param>
    /// <param name="privateData">At most 56 bytes on InfiniBand and RoCE; copied.</param>
    /// <exception cref="ArgumentException">The private data is longer than 255 bytes.</exception>
    /// <exception cref="VerbsException">The route is not resolved, or a parameter exceeds what the device has.</exception>
    public void Connect(in ConnectionParameters parameters, ReadOnlySpan<byte> privateData)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        fixed (byte* data = privateData)
        {
            rdma_conn_param native = ToNative(parameters, data, privateData.Length);
            if (LibRdmaCm.rdma_connect(scope.Native, &native) != 0)
            {
                throw Failed("rdma_connect");
            }
        }
        Handle.MayBeConnected = true;
    }

    /// <summary>
    /// Accepts a connection request, on the id that came with it. Ends in <see cref="CmEventType.Established"/> or
    /// <see cref="CmEventType.ConnectError"/>. Post the first receives before.
    /// </summary>
    /// <param name="parameters">What this side offers; no more resources than the peer asked for.</param>
    /// <param name="privateData">At most 196 bytes on InfiniBand and RoCE; copied.</param>
    /// <exception cref="ArgumentException">The private data is longer than 255 bytes.</exception>
    /// <exception cref="VerbsException">The peer has gone meanwhile, or a parameter exceeds what the device has.</exception>
    public void Accept(in ConnectionParameters parameters, ReadOnlySpan<byte> privateData)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        fixed (byte* data = privateData)
        {
            rdma_conn_param native = ToNative(parameters, data, privateData.Length);
            if (LibRdmaCm.rdma_accept(scope.Native, &native) != 0)
            {
                throw Failed("rdma_accept");
            }
        }
        Handle.MayBeConnected = true;
    }

    /// <summary>Declines a connection request, on the id that came with it; dispose the id afterwards.</summary>
    /// <param name="privateData">At most 148 bytes on InfiniBand and RoCE; copied.</param>
    /// <exception cref="ArgumentException">The private data is longer than 255 bytes.</exception>
    /// <exception cref="VerbsException">The peer has gone meanwhile.</exception>
    public void Reject(ReadOnlySpan<byte> privateData)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        ThrowIfTooLong(privateData.Length);
        fixed (byte* data = privateData)
        {
            if (LibRdmaCm.rdma_reject(scope.Native, data, (byte)privateData.Length) != 0)
            {
                throw Failed("rdma_reject");
            }
        }
    }

    /// <summary>
    /// Ends the connection, or answers the peer that did: the queue pair fails, its outstanding requests complete as
    /// <see cref="WorkCompletionStatus.WorkRequestFlushed"/>. The peer gets <see cref="CmEventType.Disconnected"/> at once, but nothing of its
    /// queue pair fails until it calls this too (or disposes the queue pair); with that this side gets the event.
    /// Does nothing when there is no connection, or no longer.
    /// </summary>
    /// <exception cref="VerbsException">The device was removed.</exception>
    public void Disconnect()
    {
        using VerbsHandle.Scope scope = Handle.Use();
        if (LibRdmaCm.rdma_disconnect(scope.Native) != 0 && Marshal.GetLastPInvokeError() is not ((int)Errno.EINVAL or (int)Errno.ENOTCONN))
        {
            throw Failed("rdma_disconnect");
        }

        Handle.MayBeConnected = false;
    }

    private static rdma_conn_param ToNative(in ConnectionParameters parameters, byte* privateData, int length)
    {
        ThrowIfTooLong(length);
        return new rdma_conn_param
        {
            private_data = privateData,
            private_data_len = (byte)length,
            responder_resources = parameters.ResponderResources,
            initiator_depth = parameters.InitiatorDepth,
            retry_count = parameters.RetryCount,
            rnr_retry_count = parameters.RnrRetryCount,
        };
    }

    private static void ThrowIfTooLong(int length)
    {
        if (length > byte.MaxValue)
        {
            throw new ArgumentException($"Private data of {length} bytes: at most {byte.MaxValue} can be sent.", nameof(length));
        }
    }
}
