using System.Diagnostics;
using System.Net;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// One reliable connection of a migration: its queue pair, queues, completion channels, control buffers, and the state that the completion waiter keeps of
/// it. One thread sends and receives, the waiter watches, and any thread may <see cref="Fail"/> it.
/// </summary>
internal sealed partial class RdmaConnection : IControlLink, IDisposable
{
    private readonly CompletionWaiter _waiter;
    private readonly CmId _id;
    private readonly EventChannel _events;
    private readonly ProtectionDomain _domain;
    private readonly CompletionChannel _sendChannel;
    private readonly CompletionChannel _receiveChannel;
    private readonly CompletionQueue _sendQueue;
    private readonly CompletionQueue _receiveQueue;
    private readonly QueuePair _queuePair;
    private readonly ControlBuffers _buffers;
    private readonly Spin _spin;
    private readonly Parking _ready;
    private readonly List<IDisposable> _owned = [];
    private RdmaConnection? _partner;
    private ConnectionLostException? _lost;
    private bool _disposed;

    /// <summary>Builds what a connection needs on the id's device; the caller posts the receives, and accepts or connects.</summary>
    /// <param name="waiter">Watches the connection from then on.</param>
    /// <param name="id">An id with a device, on <paramref name="events"/> alone. Owned by the connection, except when this throws.</param>
    /// <param name="events">The id's event channel, not blocking. Owned by the connection, except when this throws.</param>
    /// <param name="options">Limits.</param>
    /// <exception cref="VerbsException">A resource cannot be had.</exception>
    /// <exception cref="TransportException">This process has no descriptor left, or the id no device.</exception>
    public RdmaConnection(CompletionWaiter waiter, CmId id, EventChannel events, RdmaConnectionOptions options)
    {
        _waiter = waiter;
        _id = id;
        _events = events;
        _options = options;
        _spin = new Spin(options.SpinTime);
        Peer = id.RemoteEndPoint?.ToString() ?? "unknown peer";
        try
        {
            _ready = Own(new Parking());
            DeviceContext device = id.Device ?? throw new ConnectFailedException($"the connection with {Peer} has no device");
            DeviceName = device.DeviceName;
            _domain = Own(ProtectionDomain.Allocate(device));
            _buffers = Own(new ControlBuffers());
            _sendChannel = Own(CompletionChannel.Create(device));
            _receiveChannel = Own(CompletionChannel.Create(device));
            _sendChannel.SetNonBlocking();
            _receiveChannel.SetNonBlocking();
            _sendQueue = Own(CompletionQueue.Create(device, options.SendDepth * 2, _sendChannel));
            _receiveQueue = Own(CompletionQueue.Create(device, ControlBuffers.ReceiveCount + 1, _receiveChannel));
            _queuePair = Own(id.CreateQueuePair(_domain, new QueuePairOptions
            {
                SendQueue = _sendQueue,
                ReceiveQueue = _receiveQueue,
                MaxSend = (uint)options.SendDepth,
                MaxReceive = ControlBuffers.ReceiveCount,
                MaxSendSge = 1,
                MaxReceiveSge = 1,
                MaxInlineData = MaxInlineMessage,
            }));
            _descriptors = [_sendChannel.FileDescriptor, _events.FileDescriptor];
        }
        catch
        {
            Release();
            throw;
        }
    }

    /// <summary>Builds a connection on a request's id, with an event channel of its own and its receives posted; the caller accepts.</summary>
    /// <param name="waiter">Watches the connection from <see cref="Accept"/> on.</param>
    /// <param name="id">The id of a connection request whose event has been acknowledged. Owned by the connection, except when this throws.</param>
    /// <param name="options">Limits.</param>
    /// <exception cref="VerbsException">A resource cannot be had.</exception>
    public static RdmaConnection FromRequest(CompletionWaiter waiter, CmId id, RdmaConnectionOptions options)
    {
        EventChannel events = EventChannel.Create();
        RdmaConnection? connection = null;
        try
        {
            events.SetNonBlocking();
            id.MigrateTo(events);
            connection = new RdmaConnection(waiter, id, events, options);
            connection.PostReceives();
            return connection;
        }
        catch
        {
            connection?.Release();
            events.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string Peer { get; }

    /// <summary>The peer's address without its port.</summary>
    public IPAddress? PeerAddress => _id.RemoteEndPoint?.Address;

    /// <summary>The device under the connection, as <c>ibv_devices</c> names it.</summary>
    public string DeviceName { get; }

    /// <summary>Where RAM of this connection's migration is registered.</summary>
    public ProtectionDomain Domain => _domain;

    /// <summary>Why the connection is errored; null while it is not. The first reason stays.</summary>
    public ConnectionLostException? Lost => Volatile.Read(ref _lost);

    /// <summary>Registers the control buffers and posts the receives; the peer must not send before. Once.</summary>
    /// <exception cref="VerbsException">The memory cannot be registered.</exception>
    public void PostReceives()
    {
        _buffers.Register(_domain);
        for (int i = 0; i < ControlBuffers.ReceiveCount; i++)
        {
            PostReceive(i);
        }
    }

    /// <summary>Marks the connection and its partner errored and wakes whoever is parked. Any thread; false when it was errored before.</summary>
    public bool Fail(ConnectionLoss loss, string message)
    {
        ConnectionLostException reason = new(loss, message, Stopwatch.GetTimestamp());
        if (Interlocked.CompareExchange(ref _lost, reason, null) is not null)
        {
            return false;
        }

        _ready.Set();
        Volatile.Read(ref _partner)?.Fail(loss, message);
        return true;
    }

    /// <summary>Joins the two connections of one migration: what ends the one ends the other, also when it has ended already. Any thread; once.</summary>
    public void Join(RdmaConnection partner)
    {
        // Whoever fails one of them either finds the partner there or is found here: the exchange keeps the order of the two looks.
        Interlocked.Exchange(ref _partner, partner);
        Interlocked.Exchange(ref partner._partner, this);
        FailWith(partner);
        partner.FailWith(this);
    }

    /// <summary>
    /// Disconnects and frees everything. The threads that receive and send must be out of it: <see cref="Fail"/> and join them first.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, true))
        {
            return;
        }

        Fail(ConnectionLoss.Shutdown, $"the connection with {Peer} is closed");
        _waiter.Remove(this);
        try
        {
            _id.Disconnect();
        }
        catch (VerbsException)
        {
            // Its device was removed: that has ended the connection, and what is left is to free.
        }

        Release();
        _id.Dispose();
        _events.Dispose();
    }

    /// <summary>Throws the reason if the connection is errored. Any thread.</summary>
    /// <exception cref="ConnectionLostException">It is.</exception>
    public void ThrowIfLost()
    {
        if (Lost is { } lost)
        {
            throw new ConnectionLostException(lost.Loss, lost.Message, lost.DetectedAt);
        }
    }

    private void FailWith(RdmaConnection partner)
    {
        if (partner.Lost is { } lost)
        {
            Fail(lost.Loss, lost.Message);
        }
    }

    private T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    private void Release()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
        {
            _owned[i].Dispose();
        }

        _owned.Clear();
    }
}
