using System.Runtime.InteropServices;

namespace RdmaMigration.Verbs.Tests.Rdma;

/// <summary>One end of a connection: queues, and a page of registered memory.</summary>
internal sealed unsafe class Side : IDisposable
{
    internal const int BufferLength = 4096;
    internal const uint InlineLength = 64;

    private readonly byte* _memory = (byte*)NativeMemory.AlignedAlloc(BufferLength, BufferLength);

    internal Side(CmId id, EventChannel events)
    {
        Id = id;
        Events = events;
        Domain = ProtectionDomain.Allocate(id.Device!);
        Channel = CompletionChannel.Create(id.Device!);
        Queue = CompletionQueue.Create(id.Device!, 64, Channel);
        Pair = id.CreateQueuePair(Domain, new QueuePairOptions
        {
            SendQueue = Queue,
            ReceiveQueue = Queue,
            MaxSend = 8,
            MaxReceive = 8,
            MaxSendSge = 2,
            MaxInlineData = InlineLength,
        });
        Bytes.Clear();
        Region = Domain.Register((nint)_memory, BufferLength, MemoryAccess.LocalWrite | MemoryAccess.RemoteRead | MemoryAccess.RemoteWrite);
    }

    internal CmId Id { get; }
    internal EventChannel Events { get; }
    internal ProtectionDomain Domain { get; }
    internal CompletionChannel Channel { get; }
    internal CompletionQueue Queue { get; }
    internal QueuePair Pair { get; }
    internal MemoryRegion Region { get; }
    internal Span<byte> Bytes => new(_memory, BufferLength);
    internal nint Address => (nint)_memory;

    public void Dispose()
    {
        Pair.Dispose();
        Queue.Dispose();
        Channel.Dispose();
        Region.Dispose();
        Domain.Dispose();
        Id.Dispose();
        Events.Dispose();
        NativeMemory.AlignedFree(_memory);
    }

    internal void Receive(ulong id, int offset = 0, uint length = BufferLength) => Pair.PostReceive(id, Address + offset, length, Region.LocalKey);

    internal void Post(in SendRequest request) => Assert.True(Pair.TryPost(request));

    /// <summary>The next completion, waited for on the channel.</summary>
    internal WorkCompletion Complete()
    {
        Span<WorkCompletion> completions = stackalloc WorkCompletion[1];
        if (Queue.Poll(completions) == 1)
        {
            return completions[0];
        }

        Queue.RequestNotification();
        while (Queue.Poll(completions) == 0)
        {
            Assert.True(Channel.Wait(TestHost.Limit), $"no completion within {TestHost.Limit}");
            Assert.True(Channel.TryGetEvent(out CompletionQueue? queue));
            Assert.Same(Queue, queue);
            Queue.RequestNotification();
        }
        return completions[0];
    }

    /// <summary>The next completion, which must be a success.</summary>
    internal WorkCompletion Succeed(ulong id)
    {
        WorkCompletion completion = Complete();
        Assert.Equal(WorkCompletionStatus.Success, completion.Status);
        Assert.Equal(id, completion.Id);
        return completion;
    }
}
