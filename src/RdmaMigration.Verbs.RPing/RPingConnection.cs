namespace RdmaMigration.Verbs.RPing;

/// <summary>A queue pair with its queue, channel and buffers. Each step posts one request and waits for it.</summary>
internal sealed class RPingConnection : IDisposable
{
    private const ulong ReceiveId = 1;
    private const ulong RequestId = 2;

    private readonly ProtectionDomain _domain;
    private readonly CompletionChannel _channel;
    private readonly CompletionQueue _queue;
    private readonly QueuePair _queuePair;
    private int _messages;
    private int _requests;

    internal RPingConnection(CmId id, int size)
    {
        DeviceContext device = id.Device ?? throw new VerbsException("rdma_create_qp", 0, advice: "The id has no device.");
        _domain = ProtectionDomain.Allocate(device);
        _channel = CompletionChannel.Create(device);
        _queue = CompletionQueue.Create(device, entries: 8, _channel);
        _queuePair = id.CreateQueuePair(_domain, new QueuePairOptions { SendQueue = _queue, ReceiveQueue = _queue, MaxSend = 4, MaxReceive = 2 });
        Buffers = new RPingBuffers(_domain, size);
        PostReceive();
    }

    internal static ConnectionParameters Parameters => new(ResponderResources: 1, InitiatorDepth: 1, RetryCount: 7, RnrRetryCount: 7);

    internal RPingBuffers Buffers { get; }

    public void Dispose()
    {
        _queuePair.Dispose();
        _queue.Dispose();
        _channel.Dispose();
        Buffers.Dispose();
        _domain.Dispose();
    }

    /// <summary>Waits for the peer's message and posts the receive for the next one.</summary>
    /// <returns>False when the peer disconnected.</returns>
    internal bool ReceiveMessage()
    {
        while (_messages == 0)
        {
            if (!Wait())
            {
                return false;
            }
        }
        _messages--;
        return true;
    }

    /// <summary>Sends the message of <see cref="RPingBuffers.Outgoing"/>.</summary>
    internal bool SendMessage() =>
        Carry(SendRequest.Send(RequestId, Buffers.Outgoing, RPingBuffers.MessageLength, Buffers.Key, SendOptions.Signaled));

    /// <summary>Reads the peer's memory into the target.</summary>
    internal bool Read(ulong remoteAddress, uint remoteKey, uint length) =>
        Carry(SendRequest.RdmaRead(RequestId, Buffers.Target, length, Buffers.Key, remoteAddress, remoteKey, SendOptions.Signaled));

    /// <summary>Writes the target into the peer's memory.</summary>
    internal bool Write(ulong remoteAddress, uint remoteKey, uint length) =>
        Carry(SendRequest.RdmaWrite(RequestId, Buffers.Target, length, Buffers.Key, remoteAddress, remoteKey, SendOptions.Signaled));

    /// <summary>Makes room for the next message. The current one must have been read by then.</summary>
    internal void PostReceive() => _queuePair.PostReceive(ReceiveId, Buffers.Incoming, RPingBuffers.MessageLength, Buffers.Key);

    private bool Carry(in SendRequest request)
    {
        if (!_queuePair.TryPost(request))
        {
            throw new InvalidOperationException("The send queue is full although each request is waited for.");
        }

        while (_requests == 0)
        {
            if (!Wait())
            {
                return false;
            }
        }
        _requests--;
        return true;
    }

    // Ask for an event, look once more, and only then wait: so none is lost.
    private bool Wait()
    {
        Span<WorkCompletion> completions = stackalloc WorkCompletion[8];
        int count = _queue.Poll(completions);
        if (count == 0)
        {
            _queue.RequestNotification();
            count = _queue.Poll(completions);
        }
        if (count == 0)
        {
            _channel.TryGetEvent();
            count = _queue.Poll(completions);
        }
        foreach (WorkCompletion completion in completions[..count])
        {
            if (completion.Status == WorkCompletionStatus.WorkRequestFlushed)
            {
                return false;
            }

            if (!completion.IsSuccess)
            {
                throw new IOException(completion.ToString());
            }

            if (completion.Id == ReceiveId)
            {
                _messages++;
            }
            else
            {
                _requests++;
            }
        }
        return true;
    }
}
