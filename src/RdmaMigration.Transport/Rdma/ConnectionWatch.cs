using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// What the completion waiter does for one connection: takes its CM events and send completions, bounds its set-up, and probes a silent peer.
/// </summary>
internal sealed class ConnectionWatch : IWaitSource
{
    private const int SendDescriptor = 0;

    /// <summary>
    /// A device ends a request that nobody acknowledges after its retries. Soft-RoCE can stop them without an end when its link goes down. So a connection is
    /// lost when nothing has completed for this long after the first probe: longer than retries take, and than 4 MiB (<see cref="WriteLane"/>) at 70 KB/s.
    /// </summary>
    private static readonly TimeSpan s_longestRetries = TimeSpan.FromSeconds(60);

    private readonly ConnectionState _state;
    private readonly VerbsResources _verbs;
    private readonly EventChannel _events;
    private readonly SendQueue _sends;
    private readonly KeepAliveProbe _probe;
    private readonly RdmaConnectionOptions _options;
    private readonly int[] _descriptors;
    private readonly byte _port;
    private long _deadline = long.MaxValue;
    private int _unanswered;
    private bool _established;
    private bool _closed;

    public ConnectionWatch(VerbsResources verbs, ConnectionState state, SendQueue sends, KeepAliveProbe probe, RdmaConnectionOptions options)
    {
        _state = state;
        _verbs = verbs;
        _events = verbs.Events;
        _port = verbs.Id.PortNumber;
        _sends = sends;
        _probe = probe;
        _options = options;
        _descriptors = [verbs.SendChannel.FileDescriptor, _events.FileDescriptor];
    }

    /// <summary>Called once, on the waiter's thread: the peer completed the connection.</summary>
    public Action? Established { get; set; }

    /// <summary>Called once, on the waiter's thread: the connection failed before the peer completed it.</summary>
    public Action<ConnectionLostException>? NeverEstablished { get; set; }

    /// <inheritdoc/>
    public ReadOnlySpan<int> Descriptors => _descriptors;

    /// <inheritdoc/>
    public Deadline Deadline => _state.Lost is null || !_established ? Deadline.At(Volatile.Read(ref _deadline)) : Deadline.Never;

    /// <summary>The peer has until the set-up timeout from now. Before the waiter watches.</summary>
    public void BeginSetup()
    {
        _deadline = Deadline.After(_options.SetupTimeout).Timestamp;
        if (_state.Lost is not null)
        {
            SetupFailed();
        }
    }

    /// <summary>The set-up failed on this side: the waiter reports it at its next look. Any thread.</summary>
    public void SetupFailed() => Volatile.Write(ref _deadline, 0);

    /// <summary>The connection is established.</summary>
    public void SetEstablished()
    {
        _established = true;
        _state.Touch();
        _deadline = _options.KeepAliveInterval > TimeSpan.Zero ? Deadline.After(_options.KeepAliveInterval).Timestamp : long.MaxValue;
    }

    /// <summary>The event channel is about to be freed. Any thread.</summary>
    public void Close() => Volatile.Write(ref _closed, true);

    /// <summary>
    /// The device reported an asynchronous event (PROTOCOL.md, Asynchronous events). True if it ends the connection. Any waiter's thread, for as long as
    /// <see cref="DeviceWatch"/> knows the connection.
    /// </summary>
    public bool OnDeviceEvent(in AsyncEvent happened)
    {
        switch (happened.Type)
        {
            case AsyncEventType.PortError when happened.Port == _port:
                Fail(
                    ConnectionLoss.PortError,
                    $"port {_port} of the device {_state.DeviceName} under the connection with {_state.Peer} reported an error; check that its link is up");
                return true;
            case AsyncEventType.DeviceFatal:
                OnDeviceLost("it reported a fatal error, or was removed");
                return true;
            case AsyncEventType.PathMigrated or AsyncEventType.PathMigrationError when happened.Concerns(_verbs.QueuePair):
                FailUnlessCompleted($"reported {happened}; this program uses no alternate path, so another program changed the connection");
                return true;
            case AsyncEventType.QueuePairFatal or AsyncEventType.QueuePairRequestError or AsyncEventType.QueuePairAccessError
                when happened.Concerns(_verbs.QueuePair):
            case AsyncEventType.CompletionQueueError when happened.Concerns(_verbs.SendQueue) || happened.Concerns(_verbs.ReceiveQueue):
                FailUnlessCompleted($"reported {happened}");
                return true;
            default:
                return false;
        }
    }

    /// <summary>The device is gone for this process. Any waiter's thread.</summary>
    public void OnDeviceLost(string reason) =>
        Fail(ConnectionLoss.DeviceRemoval, $"the device {_state.DeviceName} under the connection with {_state.Peer}: {reason}");

    /// <inheritdoc/>
    public void OnReady(int index)
    {
        if (index == SendDescriptor)
        {
            _sends.OnReadable();
        }
        else
        {
            TakeEvents();
        }
    }

    /// <inheritdoc/>
    public void OnClosed(int index)
    {
        _descriptors[index] = -1;
        _state.Fail(
            ConnectionLoss.DeviceRemoval, $"the device {_state.DeviceName} under the connection with {_state.Peer}: the kernel closed its event channel");
        ReportNeverEstablished();
    }

    /// <summary>Takes the CM events that have happened. On the waiter's thread.</summary>
    public void TakeEvents()
    {
        while (!Volatile.Read(ref _closed) && _events.TryGetEvent(out CmEvent? happened))
        {
            using (happened)
            {
                OnCmEvent(happened);
            }
        }
    }

    /// <inheritdoc/>
    public void OnDeadline(long now)
    {
        if (!_established)
        {
            _state.Fail(
                ConnectionLoss.Unreachable, $"{_state.Peer} asked for a connection and did not complete it within {_options.SetupTimeout.TotalSeconds:0.#} s");
            ReportNeverEstablished();
            return;
        }

        TimeSpan idle = _state.Idle;
        if (idle < _options.KeepAliveInterval)
        {
            _unanswered = 0;
        }
        else if (_unanswered * _options.KeepAliveInterval >= s_longestRetries)
        {
            // Counted in looks, not by the clock: this process may have been stopped meanwhile.
            _state.Fail(
                ConnectionLoss.Unreachable,
                $"{_state.Peer} does not answer, and the device {_state.DeviceName} does not say so: nothing has completed for {idle.TotalSeconds:0} s; "
                + "check the link of both hosts");
            return;
        }
        else
        {
            _unanswered++;
            _probe.Send();
            idle = TimeSpan.Zero;
        }

        _deadline = Deadline.After(_options.KeepAliveInterval - idle, now).Timestamp;
    }

    /// <inheritdoc/>
    public void OnFault(Exception fault)
    {
        _state.Fail(ConnectionLoss.TransportError, $"the connection with {_state.Peer}: {fault.Message}");
        ReportNeverEstablished();
    }

    private void OnCmEvent(CmEvent happened)
    {
        switch (happened.Type)
        {
            case CmEventType.Established when _state.Lost is null:
                SetEstablished();
                Established?.Invoke();
                break;
            case CmEventType.Disconnected:
                _state.Fail(ConnectionLoss.Disconnected, $"{_state.Peer} disconnected");
                break;
            case CmEventType.DeviceRemoval:
                _state.Fail(ConnectionLoss.DeviceRemoval, $"the device {_state.DeviceName} under the connection with {_state.Peer} was removed");
                break;
            case CmEventType.ConnectError or CmEventType.Unreachable or CmEventType.Rejected when !_established:
                _state.Fail(ConnectionLoss.TransportError, $"the connection with {_state.Peer} failed: {happened.Type}, status {happened.Status}");
                break;
            default:
                // PROTOCOL.md, CM events: nothing else ends a connection that is established. UNREACHABLE only says that the neighbour's MAC address changed.
                break;
        }

        ReportNeverEstablished();
    }

    /// <summary>A completion that nobody has reaped may know the reason better, and the first reason stays.</summary>
    private void FailUnlessCompleted(string what)
    {
        _sends.Reap();
        Fail(ConnectionLoss.TransportError, $"the connection with {_state.Peer}: the device {_state.DeviceName} {what}");
    }

    private void Fail(ConnectionLoss loss, string message)
    {
        _state.Fail(loss, message);
        SetupFailed();
    }

    private void ReportNeverEstablished()
    {
        if (!_established && _state.Lost is { } lost)
        {
            // Once, also when the call throws.
            Action<ConnectionLostException>? report = NeverEstablished;
            NeverEstablished = null;
            _deadline = long.MaxValue;
            report?.Invoke(lost);
        }
    }
}
