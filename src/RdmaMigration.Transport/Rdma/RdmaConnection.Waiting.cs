using System.Diagnostics;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <content>What runs on the completion waiter's thread.</content>
internal sealed partial class RdmaConnection : IWaitSource
{
    private const int SendDescriptor = 0;

    private readonly int[] _descriptors;
    private readonly RdmaConnectionOptions _options;
    private long _deadline = long.MaxValue;
    private long _lastActivity;
    private bool _established;
    private bool _probeOutstanding;

    /// <summary>Called once, on the waiter's thread: the peer completed the connection.</summary>
    public Action? Established { get; set; }

    /// <summary>Called once, on the waiter's thread: the connection was lost before the peer completed it.</summary>
    public Action<ConnectionLostException>? NeverEstablished { get; set; }

    /// <inheritdoc/>
    public ReadOnlySpan<int> Descriptors => _descriptors;

    /// <inheritdoc/>
    public long Deadline => Lost is null || !_established ? _deadline : long.MaxValue;

    /// <summary>Accepts the request and starts to watch. <see cref="Established"/> or <see cref="NeverEstablished"/> follows, on the waiter's thread.</summary>
    public void Accept(ReadOnlySpan<byte> privateData)
    {
        _deadline = After(_options.SetupTimeout);

        // The peer's sends may find our receives busy for a moment: 7 lets it try again for ever. What it passes for us is 0 (protocol A.5).
        try
        {
            _sendQueue.RequestNotification();
            _id.Accept(new ConnectionParameters(ResponderResources: 0, InitiatorDepth: 0, RetryCount: 0, RnrRetryCount: 7), privateData);
        }
        catch (VerbsException failed)
        {
            Fail(ConnectionLoss.TransportError, failed.Message);
            _deadline = 0;
        }

        _waiter.Add(this);
    }

    /// <summary>Starts to watch a connection that this side asked for and that stands.</summary>
    public void Watch()
    {
        _sendQueue.RequestNotification();
        SetEstablished();
        _waiter.Add(this);
    }

    /// <inheritdoc/>
    public void OnReady(int index)
    {
        switch (index)
        {
            case SendDescriptor:
                _sendChannel.TryGetEvent();
                _sendQueue.RequestNotification();
                ReapSends();
                break;
            default:
                TakeEvents();
                break;
        }
    }

    /// <summary>Looks whether the connection manager has said something. On the waiter's thread, which also a connection's disposal waits for.</summary>
    public void TakeEvents()
    {
        while (!Volatile.Read(ref _disposed) && _events.TryGetEvent(out CmEvent? happened))
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
            Fail(ConnectionLoss.Unreachable, $"{Peer} asked for a connection and did not complete it within {_options.SetupTimeout.TotalSeconds:0.#} s");
            ReportNeverEstablished();
            return;
        }

        TimeSpan idle = TimeSpan.FromMilliseconds(Environment.TickCount64 - Volatile.Read(ref _lastActivity));
        if (idle >= _options.KeepAliveInterval)
        {
            if (!_probeOutstanding)
            {
                Probe();
            }

            idle = TimeSpan.Zero;
        }

        _deadline = now + Ticks(_options.KeepAliveInterval - idle);
    }

    /// <inheritdoc/>
    public void OnFault(Exception fault)
    {
        Fail(ConnectionLoss.TransportError, $"the connection with {Peer}: {fault.Message}");
        ReportNeverEstablished();
    }

    private void OnCmEvent(CmEvent happened)
    {
        switch (happened.Type)
        {
            case CmEventType.Established:
                SetEstablished();
                Established?.Invoke();
                break;
            case CmEventType.Disconnected:
                Fail(ConnectionLoss.Disconnected, $"{Peer} disconnected");
                break;
            case CmEventType.DeviceRemoval:
                Fail(ConnectionLoss.DeviceRemoval, $"the device {DeviceName} under the connection with {Peer} was removed");
                break;
            case CmEventType.ConnectError or CmEventType.Unreachable or CmEventType.Rejected:
                Fail(ConnectionLoss.TransportError, $"the connection with {Peer} failed: {happened.Type}, status {happened.Status}");
                break;
            default:
                // Path and address changes and the end of TIME-WAIT say nothing about the connection's state.
                break;
        }

        ReportNeverEstablished();
    }

    private void SetEstablished()
    {
        _established = true;
        Touch();
        _deadline = _options.KeepAliveInterval > TimeSpan.Zero ? After(_options.KeepAliveInterval) : long.MaxValue;
    }

    private void ReportNeverEstablished()
    {
        if (!_established && Lost is { } lost)
        {
            _deadline = long.MaxValue;
            NeverEstablished?.Invoke(lost);
            NeverEstablished = null;
        }
    }

    /// <summary>A write of no bytes: the peer's program never sees it, its NIC must answer it, and if none does the retry counter tells.</summary>
    private void Probe()
    {
        // Its completion is not to be reaped before the flag is set.
        lock (_reapGate)
        {
            _probeOutstanding = _queuePair.TryPost(SendRequest.RdmaWrite((ulong)SendKind.Probe, 0, 0, 0, 0, 0, SendOptions.Signaled));
        }
    }

    /// <summary>By the coarse clock: it is told for each message, and some milliseconds do not matter to who asks.</summary>
    private void Touch() => Volatile.Write(ref _lastActivity, Environment.TickCount64);

    private static long After(TimeSpan time) => Stopwatch.GetTimestamp() + Ticks(time);

    private static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);
}
