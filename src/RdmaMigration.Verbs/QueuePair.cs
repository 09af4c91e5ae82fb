using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>The send and receive queue of a connection.</summary>
/// <remarks>
/// TryPost and PostReceive may be called by several threads and do not allocate. They are cheap because they take no reference:
/// the owner makes sure that no thread is inside them when it calls Dispose. A call after Dispose is refused.
/// </remarks>
public sealed unsafe class QueuePair : IDisposable
{
    // All attributes of the original verbs, bits 0 to 20; providers answer with everything anyway.
    private const int Everything = (1 << 21) - 1;

    private readonly QueuePairHandle _handle;
    private nint _queuePair;

    internal QueuePair(ibv_qp* native, QueuePairHandle handle, in ibv_qp_cap capacity)
    {
        _handle = handle;
        _queuePair = (nint)native;
        Number = native->qp_num;
        MaxSend = capacity.max_send_wr;
        MaxReceive = capacity.max_recv_wr;
        MaxInlineData = capacity.max_inline_data;
    }

    /// <summary>The number that the peer's packets carry.</summary>
    public uint Number { get; }

    /// <summary>Outstanding sends, writes and reads; at least what was asked for.</summary>
    public uint MaxSend { get; }

    /// <summary>Outstanding receives; at least what was asked for.</summary>
    public uint MaxReceive { get; }

    /// <summary>Bytes that <see cref="SendOptions.Inline"/> can carry; at least what was asked for.</summary>
    public uint MaxInlineData { get; }

    /// <summary>Posts a request.</summary>
    /// <returns>False when the send queue is full: poll its completion queue, then try again.</returns>
    /// <exception cref="VerbsException">The queue pair cannot take such a request, or not in its state.</exception>
    public bool TryPost(in SendRequest request)
    {
        ibv_sge segment = ToNative(request.Segment);
        return TryPost(request, &segment, request.Segment.Length == 0 ? 0 : 1);
    }

    /// <summary>Posts a request whose bytes are gathered from (or, of a read, scattered to) several segments.</summary>
    /// <param name="request">What to do; its own address, length and key are not used.</param>
    /// <param name="segments">At most <see cref="QueuePairOptions.MaxSendSge"/>, in the order in which they travel.</param>
    /// <returns>False when the send queue is full: poll its completion queue, then try again.</returns>
    /// <exception cref="VerbsException">The queue pair cannot take such a request, or not in its state.</exception>
    public bool TryPost(in SendRequest request, ReadOnlySpan<MemorySegment> segments)
    {
        const int OnStack = 32;
        Span<ibv_sge> native = segments.Length <= OnStack ? stackalloc ibv_sge[OnStack] : new ibv_sge[segments.Length];
        for (int i = 0; i < segments.Length; i++)
        {
            native[i] = ToNative(segments[i]);
        }

        fixed (ibv_sge* first = native)
        {
            return TryPost(request, first, segments.Length);
        }
    }

    /// <summary>Posts a receive.</summary>
    /// <param name="id">Comes back as <see cref="WorkCompletion.Id"/>.</param>
    /// <param name="address">Where the peer's message goes; stays registered until the receive has completed.</param>
    /// <param name="length">In bytes; a longer message fails the connection. Zero takes only immediate data.</param>
    /// <param name="localKey">The key of a region that allows local writes.</param>
    /// <exception cref="VerbsException">The receive queue is full (ENOMEM), or the queue pair cannot take it.</exception>
    public void PostReceive(ulong id, nint address, uint length, uint localKey)
    {
        nint queuePair = Native;
        ibv_sge segment = new() { addr = (ulong)address, length = length, lkey = localKey };
        ibv_recv_wr work = new() { wr_id = id, sg_list = &segment, num_sge = length == 0 ? 0 : 1 };
        ibv_recv_wr* bad;
        int errno = Math.Abs(Shim.rdmamig_post_recv(queuePair, &work, &bad));
        GC.KeepAlive(this);
        if (errno != 0)
        {
            throw new VerbsException(
                "ibv_post_recv", errno, $"queue pair {Number}", errno == (int)Errno.ENOMEM ? "The receive queue is full: MaxReceive is too small." : null);
        }
    }

    /// <summary>Asks for the attributes.</summary>
    /// <exception cref="VerbsException">The query failed.</exception>
    public QueuePairAttributes Query()
    {
        using VerbsHandle.Scope scope = _handle.Use();
        ibv_qp_attr attributes;
        ibv_qp_init_attr initial;
        int errno = Math.Abs(LibIbVerbs.ibv_query_qp(scope.Native, &attributes, Everything, &initial));
        if (errno != 0)
        {
            throw new VerbsException("ibv_query_qp", errno, $"queue pair {Number}");
        }

        return new QueuePairAttributes
        {
            State = (QueuePairState)attributes.qp_state,
            PathMtu = DeviceContext.MtuBytes(attributes.path_mtu),
            RemoteNumber = attributes.dest_qp_num,
            Timeout = attributes.timeout,
            RetryCount = attributes.retry_cnt,
            RnrRetryCount = attributes.rnr_retry,
            MinRnrTimer = attributes.min_rnr_timer,
            InitiatorDepth = attributes.max_rd_atomic,
            ResponderResources = attributes.max_dest_rd_atomic,
        };
    }

    /// <summary>Sets the attributes that <paramref name="mask"/> names. What may be set depends on the state.</summary>
    /// <exception cref="VerbsException">The device refuses the combination.</exception>
    public void Modify(in QueuePairAttributes attributes, QueuePairAttributeMask mask)
    {
        using VerbsHandle.Scope scope = _handle.Use();
        ibv_qp_attr native = new()
        {
            qp_state = (uint)attributes.State,
            timeout = attributes.Timeout,
            retry_cnt = attributes.RetryCount,
            rnr_retry = attributes.RnrRetryCount,
            min_rnr_timer = attributes.MinRnrTimer,
        };
        int errno = Math.Abs(LibIbVerbs.ibv_modify_qp(scope.Native, &native, (int)mask));
        if (errno != 0)
        {
            throw new VerbsException("ibv_modify_qp", errno, $"queue pair {Number}, {mask}");
        }
    }

    /// <summary>Fails the queue pair, so that everything outstanding completes as flushed.</summary>
    /// <exception cref="VerbsException">The device was removed.</exception>
    public void Fail() => Modify(new QueuePairAttributes { State = QueuePairState.Error }, QueuePairAttributeMask.State);

    /// <summary>
    /// Ends the connection if there is one and destroys the queue pair. Requests that are still outstanding are lost: disconnect and drain before if
    /// they matter.
    /// </summary>
    public void Dispose()
    {
        _queuePair = 0;
        _handle.Dispose();
    }

    private nint Native
    {
        get
        {
            nint queuePair = Volatile.Read(ref _queuePair);
            ObjectDisposedException.ThrowIf(queuePair == 0, this);
            return queuePair;
        }
    }

    private bool TryPost(in SendRequest request, ibv_sge* segments, int count)
    {
        nint queuePair = Native;
        ibv_send_wr work = new()
        {
            wr_id = request.Id,
            sg_list = segments,
            num_sge = count,
            opcode = request.Opcode,
            send_flags = (uint)request.Options,
            imm_data = request.NetworkImmediate,
            wr_rdma_remote_addr = request.RemoteAddress,
            wr_rdma_rkey = request.RemoteKey,
        };
        ibv_send_wr* bad;
        int errno = Math.Abs(Shim.rdmamig_post_send(queuePair, &work, &bad));
        GC.KeepAlive(this);
        return errno switch
        {
            0 => true,
            (int)Errno.ENOMEM => false,
            _ => throw new VerbsException("ibv_post_send", errno, $"queue pair {Number}"),
        };
    }

    private static ibv_sge ToNative(in MemorySegment segment) =>
        new() { addr = (ulong)segment.Address, length = segment.Length, lkey = segment.LocalKey };
}
