using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
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

    /// <param name="options">Limits.</param>
    /// <param name="accepted">Called with each channel before it can be taken.</param>
    /// <param name="uri">Where; null for a free port at the device's IPv4 address.</param>
    /// <param name="startThread">Starts the listener's threads.</param>
    /// <param name="log">For rejected peers; null for none.</param>
    public ListeningDestination(
        ListenerOptions? options = null,
        Action<RdmaIncomingChannel>? accepted = null,
        RdmaUri? uri = null,
        Action<Thread>? startThread = null,
        ILogger? log = null)
    {
        accepted += _channels.Add;
        uri ??= new RdmaUri(RdmaAddress.V4.ToString(), 0);
        Listener = RdmaListener.Listen(_waiter, uri, options ?? TestOptions.Listener, accepted, log ?? NullLogger.Instance, startThread);
    }

    public RdmaListener Listener { get; }

    public IPEndPoint EndPoint => Listener.LocalEndPoint;

    public RdmaSource Connect(bool pinAll = false) => RdmaSource.Connect(EndPoint, pinAll ? RdmaSource.PinAll : RdmaSource.Dynamic);

    /// <summary>Connects with our own sending side.</summary>
    public RdmaOutgoingChannel ConnectOurs(RdmaConnectOptions options) =>
        RdmaOutgoingChannel.Connect(_waiter, new RdmaUri(EndPoint.Address.ToString(), EndPoint.Port), options, TestContext.Current.CancellationToken);

    /// <summary>Connects as one of our own sources does.</summary>
    public RdmaSource Connect(ConnectionPurpose purpose) => RdmaSource.Connect(EndPoint, PrivateData(purpose));

    /// <summary>The channel of the migration that came in next; when none comes, says what became of its source.</summary>
    public RdmaIncomingChannel Accept(Task<RdmaSource> source)
    {
        try
        {
            return Accept();
        }
        catch (TimeoutException none)
        {
            throw new TimeoutException($"{none.Message}; its source: {source.Status} {source.Exception?.InnerException}", none);
        }
    }

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

    private static byte[] PrivateData(ConnectionPurpose purpose)
    {
        byte[] privateData = new byte[RdmaCapabilities.Size + ConnectionPurpose.Size];
        RdmaSource.Dynamic.CopyTo(privateData, 0);
        purpose.Write(privateData.AsSpan(RdmaCapabilities.Size));
        return privateData;
    }
}
