using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Testing;

namespace RdmaMigration.Transport.Tests;

/// <summary>A listener on the real device, with the channels that it hands out.</summary>
internal sealed class ListeningDestination : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly CompletionWaiter _waiter = new();
    private readonly BlockingCollection<RdmaIncomingChannel> _channels = [];
    private readonly List<RdmaIncomingChannel> _taken = [];

    public ListeningDestination(ListenerOptions? options = null) =>
        Listener = new RdmaListener(_waiter, new RdmaUri(RdmaAddress.V4.ToString(), 0), options ?? new ListenerOptions(), _channels.Add, NullLogger.Instance);

    public RdmaListener Listener { get; }

    public IPEndPoint EndPoint => Listener.LocalEndPoint;

    public RdmaSource Connect(bool pinAll = false) => RdmaSource.Connect(EndPoint, pinAll ? RdmaSource.PinAll : RdmaSource.Dynamic);

    /// <summary>Connects with our own sending side.</summary>
    public RdmaOutgoingChannel ConnectOurs(RdmaConnectOptions options) =>
        RdmaOutgoingChannel.Connect(_waiter, new RdmaUri(EndPoint.Address.ToString(), EndPoint.Port), options, TestContext.Current.CancellationToken);

    /// <summary>The channel of the migration that came in next.</summary>
    public RdmaIncomingChannel Accept()
    {
        if (!_channels.TryTake(out RdmaIncomingChannel? channel, s_patience))
        {
            throw new TimeoutException("no migration came in");
        }

        _taken.Add(channel);
        return channel;
    }

    public void Dispose()
    {
        _taken.ForEach(channel => channel.Dispose());
        Listener.Dispose();
        _waiter.Dispose();
        _channels.Dispose();
    }
}
