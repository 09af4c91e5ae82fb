using System.Net;
using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>
/// An end of a connection, or a listener: to RDMA what a socket is to TCP. Each step only begins something;
/// how it ends is an event on the id's <see cref="EventChannel"/>.
/// </summary>
/// <remarks>
/// Thread-safe, but for Dispose against other calls. The caller disposes it. The native id is destroyed when its queue pair, what was
/// made from its device and its unacknowledged events are gone too, in whatever order they are disposed; events of a disposed id are dropped.
/// </remarks>
public sealed unsafe class CmId : IDisposable
{
    private DeviceContext? _device;

    internal CmId(rdma_cm_id* native, EventChannelHandle channel) => Handle = new CmIdHandle((nint)native, this, channel);

    internal CmIdHandle Handle { get; }

    /// <summary>
    /// The device that the id is bound to: from a specific local address, from <see cref="CmEventType.AddressResolved"/>, or from a
    /// connection request on. Null before, and for a listener on all addresses. Borrowed: what is made from it keeps the id alive.
    /// </summary>
    public DeviceContext? Device
    {
        get
        {
            using VerbsHandle.Scope scope = Handle.Use();
            if (_device is null && Handle.Id->verbs != 0)
            {
                Interlocked.CompareExchange(ref _device, new DeviceContext(Handle.Id->verbs, Handle), null);
            }

            return _device;
        }
    }

    /// <summary>The port of <see cref="Device"/>, from 1; 0 while there is none.</summary>
    public byte PortNumber
    {
        get
        {
            using VerbsHandle.Scope scope = Handle.Use();
            return Handle.Id->port_num;
        }
    }

    /// <summary>The local address and port; null before the id is bound.</summary>
    public IPEndPoint? LocalEndPoint
    {
        get
        {
            using VerbsHandle.Scope scope = Handle.Use();
            return SocketAddresses.Read(new ReadOnlySpan<byte>(Handle.Id->route_addr_src_storage, SocketAddresses.MaxLength));
        }
    }

    /// <summary>The peer's address and port; null before it is known.</summary>
    public IPEndPoint? RemoteEndPoint
    {
        get
        {
            using VerbsHandle.Scope scope = Handle.Use();
            return SocketAddresses.Read(new ReadOnlySpan<byte>(Handle.Id->route_addr_dst_storage, SocketAddresses.MaxLength));
        }
    }

    /// <summary>Creates an id whose events go to <paramref name="channel"/>.</summary>
    /// <exception cref="VerbsException">The kernel refused, for example for want of memory.</exception>
    public static CmId Create(EventChannel channel, PortSpace portSpace = PortSpace.Tcp)
    {
        using VerbsHandle.Scope scope = channel.Handle.Use();
        nint native;
        if (LibRdmaCm.rdma_create_id(scope.Native, &native, 0, (int)portSpace) != 0)
        {
            throw new VerbsException("rdma_create_id", Marshal.GetLastPInvokeError());
        }

        return new CmId((rdma_cm_id*)native, channel.Handle);
    }

    /// <summary>Lets the id be bound to a port that an ended connection still occupies. Before <see cref="Bind"/>.</summary>
    /// <exception cref="VerbsException">The id is bound already.</exception>
    public void SetReuseAddress(bool enabled) => SetOption(Constants.RDMA_OPTION_ID_REUSEADDR, enabled ? 1 : 0);

    /// <summary>Whether a listener on the IPv6 wildcard leaves IPv4 alone. Before <see cref="Listen"/>.</summary>
    /// <exception cref="VerbsException">The id listens already.</exception>
    public void SetIPv6Only(bool enabled) => SetOption(Constants.RDMA_OPTION_ID_AFONLY, enabled ? 1 : 0);

    /// <summary>Sets the type of service of the packets, as RFC 2474 defines it. Before the route is resolved.</summary>
    /// <exception cref="VerbsException">The device cannot.</exception>
    public void SetTypeOfService(byte value) => SetOption(Constants.RDMA_OPTION_ID_TOS, value);

    /// <summary>
    /// Sets how long the device waits for an answer before it repeats a request: 4.096 µs times 2 to the power of
    /// <paramref name="exponent"/>, from 1 to 31. Before the connection is made.
    /// </summary>
    /// <exception cref="VerbsException">The exponent is out of range, or the kernel is older than 5.4.</exception>
    public void SetAckTimeout(byte exponent) => SetOption(Constants.RDMA_OPTION_ID_ACK_TIMEOUT, exponent);

    /// <summary>Binds the id to a local address; port 0 chooses one. A specific address also binds it to that device.</summary>
    /// <exception cref="VerbsException">No device has the address (EADDRNOTAVAIL, ENODEV), or the port is taken (EADDRINUSE).</exception>
    public void Bind(IPEndPoint endPoint)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        byte* address = stackalloc byte[SocketAddresses.MaxLength];
        SocketAddresses.Write(endPoint, new Span<byte>(address, SocketAddresses.MaxLength));
        if (LibRdmaCm.rdma_bind_addr(scope.Native, address) != 0)
        {
            throw new VerbsException("rdma_bind_addr", Marshal.GetLastPInvokeError(), endPoint.ToString());
        }
    }

    /// <summary>Listens; each caller arrives as <see cref="CmEventType.ConnectRequest"/>.</summary>
    /// <param name="backlog">Requests that wait to be accepted or rejected; 0 for the kernel's own bound.</param>
    /// <exception cref="VerbsException">The id is not bound, or the port is taken.</exception>
    public void Listen(int backlog)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        if (LibRdmaCm.rdma_listen(scope.Native, backlog) != 0)
        {
            throw Failed("rdma_listen");
        }
    }

    /// <summary>
    /// Looks for the device that leads to an address. Ends in <see cref="CmEventType.AddressResolved"/> or <see cref="CmEventType.AddressError"/>.
    /// </summary>
    /// <exception cref="VerbsException">It could not even begin.</exception>
    public void ResolveAddress(IPEndPoint destination, TimeSpan timeout) => ResolveAddress(null, destination, timeout);

    /// <summary>
    /// Looks for the device that leads from one address to another. Ends in <see cref="CmEventType.AddressResolved"/> or <see
    /// cref="CmEventType.AddressError"/>.
    /// </summary>
    /// <exception cref="VerbsException">It could not even begin.</exception>
    public void ResolveAddress(IPEndPoint? source, IPEndPoint destination, TimeSpan timeout)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        byte* addresses = stackalloc byte[2 * SocketAddresses.MaxLength];
        byte* from = null;
        if (source is not null)
        {
            from = addresses + SocketAddresses.MaxLength;
            SocketAddresses.Write(source, new Span<byte>(from, SocketAddresses.MaxLength));
        }
        SocketAddresses.Write(destination, new Span<byte>(addresses, SocketAddresses.MaxLength));
        if (LibRdmaCm.rdma_resolve_addr(scope.Native, from, addresses, Milliseconds(timeout)) != 0)
        {
            throw new VerbsException("rdma_resolve_addr", Marshal.GetLastPInvokeError(), destination.ToString());
        }
    }

    /// <summary>Looks for the path to the resolved address. Ends in <see cref="CmEventType.RouteResolved"/> or <see cref="CmEventType.RouteError"/>.</summary>
    /// <exception cref="VerbsException">It could not even begin.</exception>
    public void ResolveRoute(TimeSpan timeout)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        if (LibRdmaCm.rdma_resolve_route(scope.Native, Milliseconds(timeout)) != 0)
        {
            throw Failed("rdma_resolve_route");
        }
    }

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

    /// <summary>Moves the id to another channel. Events that came already move along.</summary>
    /// <exception cref="InvalidOperationException">An event of this id is not disposed yet: the native call would wait for that.</exception>
    /// <exception cref="VerbsException">The kernel refused.</exception>
    public void MigrateTo(EventChannel channel)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        using VerbsHandle.Scope channelScope = channel.Handle.Use();
        if (Handle.Unacknowledged > 0)
        {
            throw new InvalidOperationException("Dispose the events of this id before it moves to another channel.");
        }

        if (LibRdmaCm.rdma_migrate_id(scope.Native, channelScope.Native) != 0)
        {
            throw Failed("rdma_migrate_id");
        }

        Handle.MovedTo(channel.Handle);
    }

    /// <summary>
    /// Gives the id up; see the remarks of the class for when it is destroyed. A connection is ended by its queue pair's Dispose, or by this.
    /// </summary>
    public void Dispose() => Handle.Dispose();

    /// <inheritdoc/>
    public override string ToString() => Describe() ?? "unbound id";

    /// <summary>The addresses, as far as they are known and the id is not disposed.</summary>
    internal string? Describe()
    {
        if (!Handle.TryUse(out VerbsHandle.Scope scope))
        {
            return null;
        }

        using (scope)
        {
            return (LocalEndPoint, RemoteEndPoint) switch
            {
                (null, null) => null,
                (null, IPEndPoint remote) => remote.ToString(),
                (IPEndPoint local, null) => local.ToString(),
                (IPEndPoint local, IPEndPoint remote) => $"{local} to {remote}",
            };
        }
    }

    private static int Milliseconds(TimeSpan timeout) => (int)Math.Clamp(Math.Ceiling(timeout.TotalMilliseconds), 0, int.MaxValue);

    private VerbsException Failed(string call)
    {
        int errno = Marshal.GetLastPInvokeError();
        return new VerbsException(call, errno, Describe());
    }

    private void SetOption(int option, int value)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        byte narrow = (byte)value;
        bool isWide = option is Constants.RDMA_OPTION_ID_REUSEADDR or Constants.RDMA_OPTION_ID_AFONLY;
        void* pointer = isWide ? &value : &narrow;
        nuint size = isWide ? sizeof(int) : (nuint)sizeof(byte);
        if (LibRdmaCm.rdma_set_option(scope.Native, Constants.RDMA_OPTION_ID, option, pointer, size) != 0)
        {
            throw Failed("rdma_set_option");
        }
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
