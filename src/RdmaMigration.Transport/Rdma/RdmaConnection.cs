using System.Net;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// One reliable connection of a migration, composed of its verbs resources, its state, one control lane and its write lanes. One thread uses the lanes, the
/// completion waiter watches, and any thread may <see cref="Fail"/> it.
/// </summary>
internal sealed class RdmaConnection : IDisposable
{
    private readonly CompletionWaiter _waiter;
    private readonly VerbsResources _verbs;
    private readonly SendQueue _sends;
    private readonly ReceiveQueue _receives;
    private DeviceWatch? _device;
    private bool _disposed;

    private RdmaConnection(CompletionWaiter waiter, VerbsResources verbs, ConnectionState state, RdmaConnectionOptions options)
    {
        _waiter = waiter;
        _verbs = verbs;
        State = state;
        PeerAddress = verbs.Id.RemoteEndPoint?.Address;
        _sends = new SendQueue(verbs, state, options.SendDepth);
        _receives = new ReceiveQueue(verbs, state, _sends);
        Control = ControlLane.Create(state, verbs.Buffers, _sends, _receives, new Spin(options.SpinTime));
        Watched = new ConnectionWatch(verbs, state, _sends, KeepAliveProbe.Create(_sends), options);
    }

    /// <summary>Messages, and the wait of the connection's thread.</summary>
    public ControlLane Control { get; }

    /// <summary>Whether it is alive.</summary>
    public ConnectionState State { get; }

    /// <summary>What the completion waiter does for it.</summary>
    public ConnectionWatch Watched { get; }

    /// <summary>The peer's address and port, for messages.</summary>
    public string Peer => State.Peer;

    /// <summary>The peer's address without its port. Readable after <see cref="Dispose"/> too.</summary>
    public IPAddress? PeerAddress { get; }

    /// <summary>The device under the connection, as <c>ibv_devices</c> names it.</summary>
    public string DeviceName => State.DeviceName;

    /// <summary>Where RAM of this connection's migration is registered.</summary>
    public ProtectionDomain Domain => _verbs.Domain;

    /// <summary>Why the connection failed; null while it has not. The first reason stays.</summary>
    public ConnectionLostException? Lost => State.Lost;

    /// <summary>Builds the objects of a connection on the id's device; the caller posts the receives, and accepts or connects.</summary>
    /// <param name="waiter">Watches the connection from then on.</param>
    /// <param name="id">An id with a device, alone on <paramref name="events"/>. Owned by the connection, except when this throws.</param>
    /// <param name="events">The id's event channel, non-blocking. Owned by the connection, except when this throws.</param>
    /// <param name="options">Limits.</param>
    /// <exception cref="VerbsException">The device or the process is out of a resource.</exception>
    /// <exception cref="TransportException">This process has no descriptor left, or the id no device.</exception>
    public static RdmaConnection Create(CompletionWaiter waiter, CmId id, EventChannel events, RdmaConnectionOptions options)
    {
        string peer = id.RemoteEndPoint?.ToString() ?? "unknown peer";
        DeviceContext device = id.Device ?? throw new ConnectFailedException($"the connection with {peer} has no device");
        ConnectionState state = new(peer, device.DeviceName);
        VerbsResources? verbs = null;
        try
        {
            verbs = new VerbsResources(id, events, device, options.SendDepth);
            RdmaConnection connection = new(waiter, verbs, state, options);
            connection._device = DeviceWatch.Join(waiter, id, device, connection.Watched);
            return connection;
        }
        catch
        {
            verbs?.Release();
            state.Dispose();
            throw;
        }
    }

    /// <summary>Builds a connection on a request's id, with an event channel of its own and its receives posted; the caller accepts.</summary>
    /// <param name="waiter">Watches the connection from <see cref="Accept"/> on.</param>
    /// <param name="id">The id of a connection request whose event has been acknowledged. Owned by the connection, except when this throws.</param>
    /// <param name="options">Limits.</param>
    /// <exception cref="VerbsException">The device or the process is out of a resource.</exception>
    /// <exception cref="TransportException">This process has no descriptor left, or the id no device.</exception>
    public static RdmaConnection FromRequest(CompletionWaiter waiter, CmId id, RdmaConnectionOptions options)
    {
        EventChannel events = EventChannel.Create();
        RdmaConnection? connection = null;
        try
        {
            events.SetNonBlocking();
            id.MigrateTo(events);
            connection = Create(waiter, id, events, options);
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

    /// <summary>Adds a lane for RDMA writes. Each lane counts its own bytes; one thread uses a lane.</summary>
    public WriteLane AddWriteLane() => WriteLane.Create(_sends, State);

    /// <summary>Registers the control buffers and posts the receives; the peer must not send before. Once.</summary>
    /// <exception cref="VerbsException">The memory cannot be registered.</exception>
    public void PostReceives() => _receives.PostAll();

    /// <summary>
    /// Accepts the request and starts to watch. <see cref="ConnectionWatch.Established"/> or <see cref="ConnectionWatch.NeverEstablished"/> follows, on the
    /// waiter's thread.
    /// </summary>
    public void Accept(ReadOnlySpan<byte> privateData)
    {
        Watched.BeginSetup();

        // Before the accept: the peer may complete the connection, and its owner free it, before the accept returns.
        _waiter.Add(Watched);
        try
        {
            _sends.Arm();

            // The peer's sends may find our receives busy for a moment: 7 lets its device retry for ever. The peer passes 0 for us: see PROTOCOL.md,
            // Parameters.
            _verbs.Id.Accept(new ConnectionParameters(ResponderResources: 0, InitiatorDepth: 0, RetryCount: 0, RnrRetryCount: 7), privateData);
        }
        catch (VerbsException failed)
        {
            State.Fail(ConnectionLoss.TransportError, failed.Message);
            Watched.SetupFailed();
            _waiter.Wake();
        }
    }

    /// <summary>Starts to watch a connection that this side asked for and that is established.</summary>
    /// <exception cref="VerbsException">The device refuses.</exception>
    public void Watch()
    {
        _sends.Arm();
        Watched.SetEstablished();
        _waiter.Add(Watched);
    }

    /// <summary>Marks the connection and its partner failed and wakes the parked thread. Any thread; false when it had failed before.</summary>
    public bool Fail(ConnectionLoss loss, string message) => State.Fail(loss, message);

    /// <summary>Joins the two connections of one migration: when one fails the other does. Any thread; once.</summary>
    public void Join(RdmaConnection partner) => State.Join(partner.State);

    /// <exception cref="ConnectionLostException">The connection has failed.</exception>
    public void ThrowIfLost() => State.ThrowIfLost();

    /// <summary>Disconnects and frees everything. The thread that uses the lanes must be out of them: <see cref="Fail"/> and join it first.</summary>
    public void Dispose()
    {
        _waiter.AssertElsewhere();
        if (Interlocked.Exchange(ref _disposed, true))
        {
            return;
        }

        Fail(ConnectionLoss.Shutdown, $"the connection with {Peer} is closed");
        Watched.Close();
        _device?.Leave(Watched);
        _waiter.Remove(Watched);
        _verbs.Dispose();
        State.Dispose();
    }

    private void Release()
    {
        _device?.Leave(Watched);
        _verbs.Release();
        State.Dispose();
    }
}
