using System.Net;

namespace RdmaMigration.Verbs.Tests.Rdma;

/// <summary>A client and a server in one process, each with its own event channel, connected over the device.</summary>
internal sealed class Loopback : IDisposable
{
    internal static readonly byte[] RequestData = [1, 2, 3];
    internal static readonly byte[] AcceptData = [4, 5, 6, 7];

    private readonly EventChannel _listening;

    private Loopback(EventChannel listening, CmId listener, Side client, Side server)
    {
        _listening = listening;
        Listener = listener;
        Client = client;
        Server = server;
    }

    internal static ConnectionParameters Parameters => new(ResponderResources: 1, InitiatorDepth: 1, RetryCount: 7, RnrRetryCount: 7);

    internal CmId Listener { get; }
    internal Side Client { get; }
    internal Side Server { get; }

    public void Dispose()
    {
        Client.Dispose();
        Server.Dispose();
        Listener.Dispose();
        _listening.Dispose();
    }

    internal static CmId Listen(EventChannel channel, IPAddress address)
    {
        CmId listener = CmId.Create(channel);
        listener.Bind(new IPEndPoint(address, 0));
        listener.Listen(4);
        return listener;
    }

    internal static CmId Resolve(EventChannel channel, IPEndPoint destination)
    {
        CmId id = CmId.Create(channel);
        id.ResolveAddress(destination, TestHost.Limit);
        channel.Expect(CmEventType.AddressResolved).Dispose();
        id.ResolveRoute(TestHost.Limit);
        channel.Expect(CmEventType.RouteResolved).Dispose();
        return id;
    }

    internal static Loopback Connect(IPAddress address)
    {
        EventChannel listening = EventChannel.Create();
        CmId listener = Listen(listening, address);
        EventChannel calling = EventChannel.Create();
        CmId caller = Resolve(calling, listener.LocalEndPoint!);
        Side client = new(caller, calling);
        caller.Connect(Parameters, RequestData);

        CmId accepted;
        using (CmEvent request = listening.Expect(CmEventType.ConnectRequest))
        {
            Assert.Same(listener, request.ListenId);
            Assert.Equal(RequestData, request.PrivateData[..RequestData.Length].ToArray());
            accepted = request.Id;
        }
        EventChannel serving = EventChannel.Create();
        accepted.MigrateTo(serving);
        Side server = new(accepted, serving);
        accepted.Accept(Parameters, AcceptData);
        using (CmEvent established = calling.Expect(CmEventType.Established))
        {
            Assert.Same(caller, established.Id);
            Assert.Equal(AcceptData, established.PrivateData[..AcceptData.Length].ToArray());
        }
        using (CmEvent established = serving.Expect(CmEventType.Established))
        {
            Assert.Same(accepted, established.Id);
        }

        return new Loopback(listening, listener, client, server);
    }
}
