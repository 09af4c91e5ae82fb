using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <content>Control messages: sending, receiving, and parking.</content>
internal sealed partial class RdmaConnection
{
    /// <summary>Messages up to this many bytes are sent inline: READY and REGISTER_RESULT, which are nearly all.</summary>
    private const int MaxInlineMessage = 64;

    /// <summary>Every so many inline sends one asks for a completion, so that the send queue empties without waking the waiter each time.</summary>
    private const int SignalEvery = 16;

    private const int LeastSpins = 16;
    private const int MostSpins = 2048;

    private readonly object _sendGate = new();
    private readonly ManualResetEventSlim _receiveReady = new(false, 0);
    private readonly ManualResetEventSlim _sendReady = new(false, 0);
    private readonly WorkCompletion[] _receiveCompletion = new WorkCompletion[1];
    private readonly WorkCompletion[] _sendCompletions = new WorkCompletion[16];
    private int _spins = LeastSpins;
    private int _current = -1;
    private int _currentLength;
    private int _sinceSignal;
    private bool _sendBufferBusy;

    private enum SendKind : ulong
    {
        Inline,
        Buffer,
        Probe,
    }

    /// <inheritdoc/>
    public ReadOnlySpan<byte> Message => _current < 0 ? [] : _buffers.Received(_current, _currentLength);

    /// <inheritdoc/>
    public bool Receive(TimeSpan timeout)
    {
        if (_current >= 0)
        {
            int consumed = _current;
            _current = -1;
            PostReceive(consumed);
        }

        return WaitForReceive(timeout);
    }

    /// <inheritdoc/>
    public void Send(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        int length = ControlHeader.Size + payload.Length;
        ThrowLost();
        if (length <= MaxInlineMessage)
        {
            SendInline(header, payload);
            return;
        }

        SendFromBuffer(header, payload);
    }

    /// <summary>Sends one message and waits until the peer's device has it; false when the time ran out.</summary>
    /// <exception cref="ConnectionLostException">The connection is errored.</exception>
    public bool SendAcknowledged(ControlHeader header, ReadOnlySpan<byte> payload, TimeSpan timeout)
    {
        ThrowLost();
        SendFromBuffer(header, payload);
        return WaitForSendBuffer(timeout);
    }

    /// <summary>Sends a message without payload on a connection that is errored on this side only, and waits as long for it to go out.</summary>
    public void SendLast(ControlHeader header, TimeSpan timeout)
    {
        _sendBufferBusy = true;
        header.Write(_buffers.SendBuffer);
        if (TryPost(BufferRequest(ControlHeader.Size)))
        {
            _sendReady.Reset();
            ReapSends();
            if (Volatile.Read(ref _sendBufferBusy))
            {
                _sendReady.Wait(timeout);
            }
        }
    }

    private void SendFromBuffer(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        WaitForSendBuffer(Timeout.InfiniteTimeSpan);
        Span<byte> buffer = _buffers.SendBuffer;
        header.Write(buffer);
        payload.CopyTo(buffer[ControlHeader.Size..]);
        _sendBufferBusy = true;
        Post(BufferRequest(ControlHeader.Size + payload.Length));
    }

    private SendRequest BufferRequest(int length) =>
        SendRequest.Send((ulong)SendKind.Buffer, _buffers.SendAddress, (uint)length, _buffers.LocalKey, SendOptions.Signaled);

    private unsafe void SendInline(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        byte* message = stackalloc byte[MaxInlineMessage];
        Span<byte> bytes = new(message, ControlHeader.Size + payload.Length);
        header.Write(bytes);
        payload.CopyTo(bytes[ControlHeader.Size..]);
        SendOptions options = SendOptions.Inline;
        if (++_sinceSignal == SignalEvery)
        {
            _sinceSignal = 0;
            options |= SendOptions.Signaled;
        }

        Post(SendRequest.Send((ulong)SendKind.Inline, (nint)message, (uint)bytes.Length, 0, options));
    }

    private void Post(in SendRequest request)
    {
        while (!TryPost(request))
        {
            // A full queue is back-pressure: the completion that makes room also sets the event.
            _sendReady.Reset();
            ReapSends();
            if (TryPost(request))
            {
                return;
            }

            ThrowLost();
            _sendReady.Wait();
        }
    }

    private bool TryPost(in SendRequest request)
    {
        lock (_sendGate)
        {
            return _queuePair.TryPost(request);
        }
    }

    private bool WaitForSendBuffer(TimeSpan timeout)
    {
        while (true)
        {
            _sendReady.Reset();
            ReapSends();
            if (!Volatile.Read(ref _sendBufferBusy))
            {
                return true;
            }

            ThrowLost();
            if (!_sendReady.Wait(timeout))
            {
                return false;
            }
        }
    }

    /// <summary>Takes what the send queue has completed. The waiter and the sending thread both do.</summary>
    private void ReapSends()
    {
        lock (_sendGate)
        {
            int count;
            while ((count = _sendQueue.Poll(_sendCompletions)) > 0)
            {
                Touch();
                foreach (ref readonly WorkCompletion completion in _sendCompletions.AsSpan(0, count))
                {
                    OnSent(completion);
                }

                _sendReady.Set();
            }
        }
    }

    private void OnSent(in WorkCompletion completion)
    {
        if (!completion.IsSuccess)
        {
            OnBadCompletion(completion, "send");
            return;
        }

        switch ((SendKind)completion.Id)
        {
            case SendKind.Buffer:
                Volatile.Write(ref _sendBufferBusy, false);
                break;
            case SendKind.Probe:
                _probeOutstanding = false;
                break;
            default:
                break;
        }
    }

    private bool WaitForReceive(TimeSpan timeout)
    {
        for (int i = 0; i < _spins; i++)
        {
            if (TakeReceived())
            {
                _spins = Math.Min(_spins * 2, MostSpins);
                return true;
            }
        }

        _spins = Math.Max(_spins / 2, LeastSpins);
        while (true)
        {
            _receiveReady.Reset();
            _receiveQueue.RequestNotification();

            // Lost is read before the queue: what had arrived when the connection broke is handed out first.
            bool lost = Lost is not null;
            if (TakeReceived())
            {
                return true;
            }

            if (lost)
            {
                ThrowLost();
            }

            if (!_receiveReady.Wait(timeout))
            {
                return false;
            }
        }
    }

    private bool TakeReceived()
    {
        if (_receiveQueue.Poll(_receiveCompletion) == 0)
        {
            return false;
        }

        ref readonly WorkCompletion completion = ref _receiveCompletion[0];
        if (!completion.IsSuccess)
        {
            // A flushed receive only follows what broke the queue pair, and that is told by a send.
            ReapSends();
            OnBadCompletion(completion, "receive");
            return false;
        }

        Touch();
        _current = (int)completion.Id;
        _currentLength = (int)completion.ByteLength;
        return true;
    }

    private void OnBadCompletion(in WorkCompletion completion, string what)
    {
        ConnectionLoss loss = completion.Status is WorkCompletionStatus.TransportRetryExceeded ? ConnectionLoss.Unreachable : ConnectionLoss.TransportError;
        Fail(loss, loss is ConnectionLoss.Unreachable
            ? $"{Peer} does not answer: the transport's retries are used up ({completion.Status})"
            : $"the connection with {Peer}: a {what} ended with {completion.Status}");
    }

    private void PostReceive(int index) =>
        _queuePair.PostReceive((ulong)index, _buffers.ReceiveAddress(index), ControlHeader.MaxMessage, _buffers.LocalKey);
}
