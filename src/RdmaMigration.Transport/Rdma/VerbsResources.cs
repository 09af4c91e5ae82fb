using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// The verbs objects of one connection: protection domain, completion channels and queues, queue pair, registered control buffers. Owns them, the id and its
/// event channel, and frees children before their parents.
/// </summary>
internal sealed class VerbsResources : IDisposable
{
    private readonly Stack<IDisposable> _owned = new();

    /// <param name="id">An id with a device, alone on <paramref name="events"/>. Owned, except when this throws.</param>
    /// <param name="events">The id's event channel, non-blocking. Owned, except when this throws.</param>
    /// <param name="device">The id's device.</param>
    /// <param name="sendDepth">Requests that may be outstanding in the send queue.</param>
    /// <exception cref="VerbsException">The device or the process is out of a resource.</exception>
    public VerbsResources(CmId id, EventChannel events, DeviceContext device, int sendDepth)
    {
        BlockingCalls.AssertAllowed();
        Id = id;
        Events = events;
        try
        {
            Domain = Own(ProtectionDomain.Allocate(device));
            Buffers = Own(new ControlBuffers());
            SendChannel = Own(CompletionChannel.Create(device));
            ReceiveChannel = Own(CompletionChannel.Create(device));
            SendChannel.SetNonBlocking();
            ReceiveChannel.SetNonBlocking();
            SendQueue = Own(CompletionQueue.Create(device, sendDepth * 2, SendChannel));
            ReceiveQueue = Own(CompletionQueue.Create(device, ControlBuffers.ReceiveCount + 1, ReceiveChannel));
            QueuePair = Own(id.CreateQueuePair(Domain, new QueuePairOptions
            {
                SendQueue = SendQueue,
                ReceiveQueue = ReceiveQueue,
                MaxSend = (uint)sendDepth,
                MaxReceive = ControlBuffers.ReceiveCount,
                MaxSendSge = 1,
                MaxReceiveSge = 1,
                MaxInlineData = ControlLane.MaxInlineMessage,
            }));
        }
        catch
        {
            Release();
            throw;
        }
    }

    public CmId Id { get; }

    public EventChannel Events { get; }

    public ProtectionDomain Domain { get; }

    public ControlBuffers Buffers { get; }

    public CompletionChannel SendChannel { get; }

    public CompletionChannel ReceiveChannel { get; }

    public CompletionQueue SendQueue { get; }

    public CompletionQueue ReceiveQueue { get; }

    public QueuePair QueuePair { get; }

    /// <summary>Frees everything but the id and its event channel.</summary>
    public void Release()
    {
        while (_owned.TryPop(out IDisposable? resource))
        {
            resource.Dispose();
        }
    }

    /// <summary>Disconnects and frees everything. No thread may use any of it any more.</summary>
    public void Dispose()
    {
        try
        {
            Id.Disconnect();
        }
        catch (VerbsException)
        {
            // The device was removed. That ended the connection; what remains is to free.
        }

        Release();
        Id.Dispose();
        Events.Dispose();
    }

    private T Own<T>(T resource) where T : IDisposable
    {
        _owned.Push(resource);
        return resource;
    }
}
