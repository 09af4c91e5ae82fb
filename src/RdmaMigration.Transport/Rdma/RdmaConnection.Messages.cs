using System.Diagnostics;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <content>Control messages: sending, receiving, and parking.</content>
internal sealed partial class RdmaConnection
{
    /// <summary>Messages up to this many bytes are sent inline: all but QEMU_FILE and RAM_BLOCKS_RESULT.</summary>
    private const int MaxInlineMessage = 64;

    private readonly object _reapGate = new();
    private readonly WorkCompletion[] _receiveCompletion = new WorkCompletion[1];
    private readonly WorkCompletion[] _sendCompletions = new WorkCompletion[16];
    private int _current = -1;
    private int _currentLength;
    private int _sinceSignal;
    private bool _sendBufferBusy;
    private bool _arrived;

    /// <summary>What a work request's id says in its lowest two bits; the rest of a write's id counts bytes.</summary>
    private enum SendKind : ulong
    {
        Inline,
        Buffer,
        Probe,
        Write,
    }

    /// <inheritdoc/>
    public ReadOnlySpan<byte> Message => _current < 0 ? [] : _buffers.Received(_current, _currentLength);

    /// <inheritdoc/>
    public bool TryReceive()
    {
        if (_arrived)
        {
            _arrived = false;
            return true;
        }

        ReleaseMessage();

        // Lost is read before the queue: what had arrived when the connection broke is handed out first.
        bool lost = Lost is not null;
        if (TakeReceived())
        {
            return true;
        }

        if (lost)
        {
            ThrowIfLost();
        }

        return false;
    }

    /// <inheritdoc/>
    public bool Receive(TimeSpan timeout)
    {
        long deadline = DeadlineAfter(timeout);
        _spin.Begin(deadline);
        bool received = PollUntilReceived() || ParkUntilReceived(deadline);
        _spin.End();
        return received;
    }

    /// <inheritdoc/>
    public void Send(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        int length = ControlHeader.Size + payload.Length;
        ThrowIfLost();
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
        ThrowIfLost();
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
            WaitForSendBuffer(timeout, evenIfLost: true);
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

        // One in half a queue asks for a completion: that empties the queue, and wakes the waiter seldom.
        if (++_sinceSignal >= _options.SendDepth / 2)
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
            _ready.Reset();
            ReapSends();
            if (TryPost(request))
            {
                return;
            }

            ThrowIfLost();
            Wait(long.MaxValue);
        }
    }

    private bool TryPost(in SendRequest request)
    {
        try
        {
            return _queuePair.TryPost(request);
        }
        catch (VerbsException refused)
        {
            throw Refused(refused);
        }
    }

    /// <summary>
    /// The device takes no more requests: the queue pair is broken. Why it is, a completion may say that nobody has looked at yet, and the first reason stays. That
    /// this side has shut the connection down breaks no queue pair, so then the device's word is what there is to say.
    /// </summary>
    private ConnectionLostException Refused(VerbsException refused)
    {
        ReapSends();
        Fail(ConnectionLoss.TransportError, $"the connection with {Peer}: {refused.Message}");
        return Lost is { Loss: not ConnectionLoss.Shutdown } lost
            ? new ConnectionLostException(lost.Loss, lost.Message, lost.DetectedAt)
            : new ConnectionLostException(ConnectionLoss.TransportError, $"the connection with {Peer}: {refused.Message}", Stopwatch.GetTimestamp());
    }

    private bool WaitForSendBuffer(TimeSpan timeout, bool evenIfLost = false)
    {
        long deadline = DeadlineAfter(timeout);
        while (true)
        {
            _ready.Reset();
            ReapSends();
            if (!Volatile.Read(ref _sendBufferBusy))
            {
                return true;
            }

            if (!evenIfLost)
            {
                ThrowIfLost();
            }

            if (!Wait(deadline))
            {
                return false;
            }
        }
    }

    /// <summary>Parks the connection's thread until something may have happened; false when the time has passed.</summary>
    private bool Wait(long deadline)
    {
        bool happened = _ready.Wait(_receiveChannel.FileDescriptor, Left(deadline), out bool readable);
        try
        {
            if (readable)
            {
                _receiveChannel.TryGetEvent();
            }
        }
        catch (VerbsException gone)
        {
            FailByDevice(gone);
        }

        return happened;
    }

    /// <summary>The device does not do what needs nobody else: it was removed, or its queue has overflowed.</summary>
    private void FailByDevice(VerbsException gone) =>
        Fail(ConnectionLoss.DeviceRemoval, $"the device {DeviceName} under the connection with {Peer}: {gone.Message}");

    /// <summary>Asks for an event when the next message comes. Where the device cannot, the connection is errored, which ends the wait too.</summary>
    private void ArmReceives()
    {
        try
        {
            _receiveQueue.RequestNotification();
        }
        catch (VerbsException gone)
        {
            FailByDevice(gone);
        }
    }

    /// <summary>Takes what a queue has completed; nothing where the device cannot say, and then the connection is errored.</summary>
    private int Poll(CompletionQueue queue, Span<WorkCompletion> completions)
    {
        try
        {
            return queue.Poll(completions);
        }
        catch (VerbsException gone)
        {
            FailByDevice(gone);
            return 0;
        }
    }

    /// <summary>Takes what the send queue has completed. The waiter and the connection's thread both do.</summary>
    private void ReapSends()
    {
        lock (_reapGate)
        {
            int count;
            while ((count = Poll(_sendQueue, _sendCompletions)) > 0)
            {
                Touch();
                foreach (ref readonly WorkCompletion completion in _sendCompletions.AsSpan(0, count))
                {
                    OnSent(completion);
                }

                _ready.Set();
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

        switch ((SendKind)(completion.Id & 3))
        {
            case SendKind.Buffer:
                Volatile.Write(ref _sendBufferBusy, false);
                break;
            case SendKind.Probe:
                _probeOutstanding = false;
                break;
            case SendKind.Write:
                Volatile.Write(ref _writtenBytes, (long)(completion.Id >> 2));
                break;
            default:
                break;
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

    private bool ParkUntilReceived(long deadline)
    {
        while (true)
        {
            _ready.Reset();
            ArmReceives();
            if (TryReceive())
            {
                return true;
            }

            if (!Wait(deadline))
            {
                return false;
            }

            // The message is there, mostly, and the queue need not be armed for the next one.
            if (TryReceive())
            {
                return true;
            }
        }
    }

    private void ReleaseMessage()
    {
        if (_current >= 0)
        {
            PostReceiveAgain();
        }
    }

    private void PostReceiveAgain()
    {
        int consumed = _current;
        _current = -1;
        try
        {
            PostReceive(consumed);
        }
        catch (VerbsException refused)
        {
            // What has arrived is still handed out, and then the reason.
            Refused(refused);
        }
    }

    private bool TakeReceived()
    {
        if (Poll(_receiveQueue, _receiveCompletion) == 0)
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
        (ConnectionLoss loss, string message) = completion.Status switch
        {
            WorkCompletionStatus.TransportRetryExceeded => (
                ConnectionLoss.Unreachable,
                $"{Peer} does not answer, it is cut off or its program was killed: the transport's retries are used up ({completion.Status})"),
            WorkCompletionStatus.RemoteAccessError => (
                ConnectionLoss.MemoryWithdrawn,
                $"the device of {Peer} refuses memory that the program there had registered: that has most likely ended ({completion.Status})"),
            _ => (ConnectionLoss.TransportError, $"the connection with {Peer}: a {what} ended with {completion.Status}"),
        };
        Fail(loss, message);
    }

    private void PostReceive(int index) =>
        _queuePair.PostReceive((ulong)index, _buffers.ReceiveAddress(index), ControlHeader.MaxMessage, _buffers.LocalKey);

    private static long DeadlineAfter(TimeSpan timeout) => timeout < TimeSpan.Zero ? long.MaxValue : After(timeout);

    private static TimeSpan Left(long deadline)
    {
        if (deadline == long.MaxValue)
        {
            return Timeout.InfiniteTimeSpan;
        }

        TimeSpan left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), deadline);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
