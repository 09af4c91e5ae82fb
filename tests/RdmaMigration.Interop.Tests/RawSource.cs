using System.Net;
using System.Text;
using RdmaMigration.Interop.Harness;
using RdmaMigration.Verbs;

namespace RdmaMigration.Interop;

/// <summary>A source of our own that asks for a connection with any private data. It never sends a message.</summary>
internal sealed class RawSource : IDisposable
{
    private readonly EventChannel _events = EventChannel.Create();
    private readonly List<IDisposable> _owned = [];
    private readonly CmId _id;

    public RawSource()
    {
        _events.SetNonBlocking();
        _id = CmId.Create(_events);
    }

    /// <summary>Asks for a connection and returns the answer: ESTABLISHED, or REJECTED with the peer's words.</summary>
    public (CmEventType Answer, string Words) Connect(IPEndPoint destination, ReadOnlySpan<byte> privateData)
    {
        _id.ResolveAddress(destination, Deadlines.Answer);
        Expect(CmEventType.AddressResolved);
        _id.ResolveRoute(Deadlines.Answer);
        Expect(CmEventType.RouteResolved);
        DeviceContext device = _id.Device ?? throw new InvalidOperationException("a resolved id without a device");
        ProtectionDomain domain = Own(ProtectionDomain.Allocate(device));
        CompletionQueue queue = Own(CompletionQueue.Create(device, 16, null));
        Own(_id.CreateQueuePair(domain, new QueuePairOptions { SendQueue = queue, ReceiveQueue = queue }));
        _id.Connect(new ConnectionParameters(0, 2, 5, 7), privateData);
        using CmEvent answer = Next();
        return (answer.Type, Encoding.ASCII.GetString(answer.PrivateData).TrimEnd('\0'));
    }

    public void Disconnect() => _id.Disconnect();

    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
        {
            _owned[i].Dispose();
        }

        _id.Dispose();
        _events.Dispose();
    }

    private T Own<T>(T resource) where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    private void Expect(CmEventType type)
    {
        using CmEvent happened = Next();
        Assert.Equal(type, happened.Type);
    }

    private CmEvent Next()
    {
        CmEvent? happened;
        while (!_events.TryGetEvent(out happened))
        {
            Assert.True(_events.Wait(Deadlines.Answer), "no answer from the connection manager");
        }

        return happened;
    }
}
