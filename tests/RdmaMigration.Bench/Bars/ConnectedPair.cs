using System.Net;
using RdmaMigration.Engine;
using RdmaMigration.Testing;
using RdmaMigration.Transport;
using RdmaMigration.Verbs;

namespace RdmaMigration.Bench.Bars;

/// <summary>Two connections of ours, joined over this host's device, each with a completion waiter of its own as in two programs.</summary>
internal sealed class ConnectedPair : IDisposable
{
    private static readonly TimeSpan s_setup = TimeSpan.FromSeconds(10);
    private readonly CompletionWaiter _activeWaiter = new();
    private readonly CompletionWaiter _passiveWaiter = new();

    /// <param name="spinTime">How long either side polls before it parks; zero for not at all, negative for always.</param>
    public ConnectedPair(TimeSpan spinTime)
    {
        int port = RdmaAddress.NextPort();
        using EventChannel events = EventChannel.Create();
        using CmId listener = CmId.Create(events);
        listener.Bind(new IPEndPoint(RdmaAddress.V4, port));
        listener.Listen(1);
        Task<RdmaConnection> accepted = Task.Run(() => Accept(events, spinTime));
        RdmaUri uri = new(RdmaAddress.V4.ToString(), port);
        RdmaConnectOptions options = ParameterSet.Defaults.ForRdma() with { KeepAliveInterval = TimeSpan.Zero, SpinTime = spinTime };
        (Active, _) = RdmaConnector.Connect(_activeWaiter, uri, ConnectionPurpose.NewMigration(), options, s_setup, CancellationToken.None);
        Passive = accepted.GetAwaiter().GetResult();
    }

    public RdmaConnection Active { get; }

    public RdmaConnection Passive { get; }

    public void Dispose()
    {
        Active.Dispose();
        Passive.Dispose();
        _activeWaiter.Dispose();
        _passiveWaiter.Dispose();
    }

    private RdmaConnection Accept(EventChannel events, TimeSpan spinTime)
    {
        CmId id;
        using (CmEvent request = events.GetEvent())
        {
            id = request.Id;
        }

        RdmaConnection connection = RdmaConnection.FromRequest(_passiveWaiter, id, new RdmaConnectionOptions(TimeSpan.Zero, s_setup, spinTime, SendDepth: 64));
        Span<byte> reply = stackalloc byte[RdmaCapabilities.Size];
        new RdmaCapabilities(RdmaCapabilities.CurrentVersion, 0).Write(reply);
        connection.Accept(reply);
        return connection;
    }
}
