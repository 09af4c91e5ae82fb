using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// Control messages over one connection, and the place where the connection's thread waits: for messages, for completions of any write lane, for failure.
/// Only the connection's thread uses it.
/// </summary>
internal sealed class ControlLane : IControlLink, ILaneWait, ISendLane
{
    /// <summary>Messages up to this many bytes are sent inline: all but QEMU_FILE and RAM_BLOCKS_RESULT.</summary>
    public const int MaxInlineMessage = 64;

    private const ulong InlineSent = 0;
    private const ulong BufferSent = 1;

    private readonly ConnectionState _state;
    private readonly ControlBuffers _buffers;
    private readonly SendQueue _sends;
    private readonly ReceiveQueue _receives;
    private readonly Spin _spin;
    private int _lane;
    private bool _sendBufferBusy;
    private bool _arrived;

    private ControlLane(ConnectionState state, ControlBuffers buffers, SendQueue sends, ReceiveQueue receives, Spin spin)
    {
        _state = state;
        _buffers = buffers;
        _sends = sends;
        _receives = receives;
        _spin = spin;
    }

    /// <inheritdoc/>
    public string Peer => _state.Peer;

    /// <inheritdoc/>
    public ReadOnlySpan<byte> Message => _receives.Message;

    /// <inheritdoc/>
    public long Progress => _state.Progress;

    public static ControlLane Create(ConnectionState state, ControlBuffers buffers, SendQueue sends, ReceiveQueue receives, Spin spin)
    {
        ControlLane lane = new(state, buffers, sends, receives, spin);
        lane._lane = sends.Add(lane);
        return lane;
    }

    /// <inheritdoc/>
    public bool TryReceive()
    {
        if (_arrived)
        {
            _arrived = false;
            return true;
        }

        _receives.Release();

        // Lost is read before the queue: what had arrived when the connection broke is handed out first.
        bool lost = _state.Lost is not null;
        if (_receives.TryTake())
        {
            return true;
        }

        if (lost)
        {
            _state.ThrowIfLost();
        }

        return false;
    }

    /// <inheritdoc/>
    public bool Receive(TimeSpan timeout)
    {
        Deadline deadline = Deadline.After(timeout);
        _spin.Begin(deadline.Timestamp);
        bool received = PollUntilReceived() || ParkUntilReceived(deadline);
        _spin.End();
        return received;
    }

    /// <inheritdoc/>
    public void Send(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        _state.ThrowIfLost();
        if (ControlHeader.Size + payload.Length <= MaxInlineMessage)
        {
            SendInline(header, payload);
            return;
        }

        SendFromBuffer(header, payload);
    }

    /// <summary>Sends one message and waits until the peer's device has it; false when the time ran out.</summary>
    /// <exception cref="ConnectionLostException">The connection has failed.</exception>
    public bool SendAcknowledged(ControlHeader header, ReadOnlySpan<byte> payload, TimeSpan timeout)
    {
        _state.ThrowIfLost();
        SendFromBuffer(header, payload);
        return WaitForSendBuffer(Deadline.After(timeout));
    }

    /// <summary>Waits for a message on a connection that this side may have shut down; false when none came in time.</summary>
    public bool ReceiveLast(TimeSpan timeout)
    {
        Deadline deadline = Deadline.After(timeout);
        while (!_arrived)
        {
            _state.Parking.Reset();
            _receives.Arm();
            _receives.Release();
            _arrived = _receives.TryTake();
            if (!_arrived && !_receives.Park(deadline))
            {
                return false;
            }
        }

        _arrived = false;
        return true;
    }

    /// <summary>Sends a message on a connection that this side may have shut down; false when it did not go out in time.</summary>
    public bool SendLast(ControlHeader header, ReadOnlySpan<byte> payload, TimeSpan timeout)
    {
        Deadline deadline = Deadline.After(timeout);
        if (!WaitForSendBuffer(deadline, evenIfLost: true))
        {
            return false;
        }

        if (!_sends.TryPost(FillSendBuffer(header, payload), signaled: true))
        {
            _sendBufferBusy = false;
            return false;
        }

        return WaitForSendBuffer(deadline, evenIfLost: true);
    }

    /// <inheritdoc/>
    public void Park(long progress, TimeSpan timeout)
    {
        Deadline deadline = Deadline.After(timeout);
        bool news = false;
        _spin.Begin(deadline.Timestamp);
        while (!news && _spin.Goes())
        {
            news = HasNews(progress);
        }

        if (!news)
        {
            _state.Parking.Reset();
            _receives.Arm();
            if (!HasNews(progress))
            {
                _receives.Park(deadline);
            }
        }

        _spin.End();
    }

    /// <inheritdoc/>
    public void OnSent(ulong value)
    {
        if (value == BufferSent)
        {
            Volatile.Write(ref _sendBufferBusy, false);
        }
    }

    private bool HasNews(long progress)
    {
        _sends.Reap();
        if (_state.Progress != progress || _state.Lost is not null)
        {
            return true;
        }

        _receives.Release();
        return _arrived = _receives.TryTake();
    }

    private void SendFromBuffer(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        WaitForSendBuffer(Deadline.Never);
        Post(FillSendBuffer(header, payload), signaled: true);
    }

    /// <summary>Takes the send buffer for a message. It is free.</summary>
    private SendRequest FillSendBuffer(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        Span<byte> buffer = _buffers.SendBuffer;
        header.Write(buffer);
        payload.CopyTo(buffer[ControlHeader.Size..]);
        _sendBufferBusy = true;
        uint length = (uint)(ControlHeader.Size + payload.Length);
        return SendRequest.Send(SendQueue.Id(_lane, BufferSent), _buffers.SendAddress, length, _buffers.LocalKey, SendOptions.Signaled);
    }

    private unsafe void SendInline(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        byte* message = stackalloc byte[MaxInlineMessage];
        Span<byte> bytes = new(message, ControlHeader.Size + payload.Length);
        header.Write(bytes);
        payload.CopyTo(bytes[ControlHeader.Size..]);
        bool signaled = _sends.NeedsSignal;
        SendOptions options = signaled ? SendOptions.Inline | SendOptions.Signaled : SendOptions.Inline;
        Post(SendRequest.Send(SendQueue.Id(_lane, InlineSent), (nint)message, (uint)bytes.Length, 0, options), signaled);
    }

    private void Post(in SendRequest request, bool signaled)
    {
        while (!_sends.TryPost(request, signaled))
        {
            // A full queue is back-pressure: the completion that makes room also sets the parking.
            _state.Parking.Reset();
            _sends.Reap();
            if (_sends.TryPost(request, signaled))
            {
                return;
            }

            _state.ThrowIfLost();
            _receives.Park(Deadline.Never);
        }
    }

    private bool WaitForSendBuffer(Deadline deadline, bool evenIfLost = false)
    {
        while (true)
        {
            _state.Parking.Reset();
            _sends.Reap();
            if (!Volatile.Read(ref _sendBufferBusy))
            {
                return true;
            }

            if (!evenIfLost)
            {
                _state.ThrowIfLost();
            }

            if (!_receives.Park(deadline))
            {
                return false;
            }
        }
    }

    private bool PollUntilReceived()
    {
        while (_spin.Goes())
        {
            if (TryReceive())
            {
                return true;
            }
        }

        return false;
    }

    private bool ParkUntilReceived(Deadline deadline)
    {
        while (true)
        {
            _state.Parking.Reset();
            _receives.Arm();
            if (TryReceive())
            {
                return true;
            }

            if (!_receives.Park(deadline))
            {
                return false;
            }

            // The message is mostly there already, and then the queue need not be armed for the next one.
            if (TryReceive())
            {
                return true;
            }
        }
    }
}
