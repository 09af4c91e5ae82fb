using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// Listens for sources and hands out one migration at a time. While one runs, its second connection (the return path) is joined to it. Other sources wait
/// in the backlog or, where one machine is taken, are rejected with a reason, as is a request that is no migration's. No peer ends the listener. The
/// completion waiter's thread decides who gets in; connections are built and freed on threads of their own, because registering memory and destroying a
/// queue pair block.
/// </summary>
internal sealed class RdmaListener : ChannelListener
{
    /// <summary>How often a listener that lost its device tries to listen again.</summary>
    private static readonly TimeSpan s_retryInterval = TimeSpan.FromSeconds(1);

    /// <summary>A destination sends a READY or an answer at a time; what is beyond lets them go without waiting for completions.</summary>
    private const int SendDepth = 256;

    private readonly CompletionWaiter _waiter;
    private readonly ListenerOptions _options;
    private readonly Action<RdmaIncomingChannel> _accepted;
    private readonly ILogger _log;
    private readonly EventChannel _events;
    private readonly RdmaBinding _binding;
    private readonly RequestBacklog _backlog;
    private readonly SideThreads _aside;
    private ListenSource? _source;
    private RdmaIncomingChannel? _active;
    private volatile bool _busy;
    private long _retryAt = long.MaxValue;

    private RdmaListener(
        CompletionWaiter waiter,
        ListenerOptions options,
        Action<RdmaIncomingChannel> accepted,
        ILogger log,
        EventChannel events,
        RdmaBinding binding,
        SideThreads aside)
    {
        _waiter = waiter;
        _options = options;
        _accepted = accepted;
        _log = log;
        _events = events;
        _binding = binding;
        _aside = aside;
        _backlog = new RequestBacklog(options.Backlog, log);
    }

    /// <summary>Binds the first of the URI's addresses that can be bound and listens.</summary>
    /// <param name="waiter">Watches the listener and its connections; it must outlive them.</param>
    /// <param name="uri">Where to listen.</param>
    /// <param name="options">Limits.</param>
    /// <param name="accepted">Called on the waiter's thread with each new migration's channel, which the callee owns. It must not block.</param>
    /// <param name="log">For refused and failed peers.</param>
    /// <param name="startThread">Starts a thread; null for <see cref="Thread.Start()"/>.</param>
    /// <exception cref="ConnectFailedException">No address can be bound: in use, not on an RDMA device, or unknown.</exception>
    public static RdmaListener Listen(
        CompletionWaiter waiter,
        RdmaUri uri,
        ListenerOptions options,
        Action<RdmaIncomingChannel> accepted,
        ILogger log,
        Action<Thread>? startThread = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        EventChannel? events = null;
        RdmaBinding? binding = null;
        try
        {
            events = EventChannel.Create();
            events.SetNonBlocking();
            binding = RdmaBinding.Listen(events, uri, options.Backlog);
            RdmaListener listener = new(waiter, options, accepted, log, events, binding, new SideThreads("rdma/accept", startThread));
            listener._source = new ListenSource(listener, events.FileDescriptor);
            waiter.Add(listener._source);
            return listener;
        }
        catch (Exception failed) when (failed is VerbsException or PlatformNotSupportedException)
        {
            Release();
            throw new ConnectFailedException($"cannot listen on {uri}: {failed.Message}", failed);
        }
        catch
        {
            Release();
            throw;
        }

        void Release()
        {
            binding?.Dispose();
            events?.Dispose();
        }
    }

    /// <summary>Where it listens; the port is the one that was chosen when 0 was asked.</summary>
    public override IPEndPoint LocalEndPoint => _binding.EndPoint;

    /// <inheritdoc/>
    public override MigrationUri Uri => new RdmaUri(LocalEndPoint.Address.ToString(), LocalEndPoint.Port);

    /// <summary>Stops listening. Channels that were handed out stay as they are. Waiting sources are rejected.</summary>
    public override void Dispose()
    {
        _waiter.Remove(_source!);
        _aside.Wait();
        _backlog.RejectAll("the destination stopped listening");
        if (Volatile.Read(ref _active) is { } channel && channel.TryTakeOver())
        {
            channel.Dispose();
        }

        _binding.Dispose();
        _events.Dispose();
    }

    /// <summary>A migration's channel is disposed: the next source may come in.</summary>
    internal void Release(RdmaIncomingChannel channel)
    {
        if (Interlocked.CompareExchange(ref _active, null, channel) == channel)
        {
            SetFree();
        }
    }

    private void OnEvent(CmEvent happened)
    {
        if (happened.Type is CmEventType.DeviceRemoval)
        {
            happened.Dispose();
            OnDeviceRemoved();
            return;
        }

        if (happened.Type != CmEventType.ConnectRequest)
        {
            ListenerLog.EventIgnored(_log, happened.Type.ToString(), happened.Status);
            return;
        }

        ConnectionRequest request = new(happened.Id, happened.PrivateData.ToArray());

        // An id moves to its own event channel only when its events are acknowledged.
        happened.Dispose();
        try
        {
            Admit(request);
        }
        catch (Exception failed) when (failed is VerbsException or TransportException)
        {
            _backlog.Reject(request, failed.Message);
        }
        catch (Exception fault)
        {
            // A defect of ours. A request without an answer would keep its source waiting for minutes.
            ListenerLog.Fault(_log, fault);
            _backlog.Reject(request, "the destination failed to serve the request; its log has the reason");
        }
    }

    /// <summary>
    /// The device of the listening id is being removed. The kernel finishes that only when this process has freed everything on it, so the listener does so
    /// and tries to listen again. The kernel reports no event for a request that is not accepted, so those that wait are freed here: they are on this device.
    /// </summary>
    private void OnDeviceRemoved()
    {
        ListenerLog.DeviceRemoved(_log, LocalEndPoint.ToString());
        while (_backlog.Take() is { } waiting)
        {
            ListenerLog.Rejected(_log, waiting.Peer, "the device was removed");
            _aside.RunEventually(waiting.Id.Dispose);
        }

        _aside.RunEventually(() =>
        {
            _binding.Close();
            RetryAt(Deadline.After(s_retryInterval));
        });
    }

    private void ListenAgain()
    {
        try
        {
            _binding.Reopen();
            ListenerLog.ListeningAgain(_log, LocalEndPoint.ToString());
        }
        catch (VerbsException failed)
        {
            ListenerLog.EventIgnored(_log, "listen: " + failed.Message, 0);
            RetryAt(Deadline.After(s_retryInterval));
        }
    }

    private void RetryAt(Deadline time)
    {
        Volatile.Write(ref _retryAt, time.Timestamp);
        _waiter.Wake();
    }

    private void Admit(ConnectionRequest request)
    {
        RdmaIncomingChannel? running = Volatile.Read(ref _active);
        if (request.WhyRefused(_options.Allow) is { } refusal)
        {
            _backlog.Reject(request, refusal);
        }
        else if (running is not null && running.TryClaimReturnPath(request))
        {
            _aside.Run(() => OpenReturnPath(running, request));
        }
        else if (request.Purpose is { Role: not ConnectionRole.Main } purpose)
        {
            _backlog.Reject(request, running?.WhyEnded(purpose) ?? $"this {purpose.Role} connection belongs to no running migration");
        }
        else if (!_busy)
        {
            OpenAside(request);
        }
        else if (!_options.Queues && running is not null && running.IsServed())
        {
            _backlog.Reject(request, AnotherRuns);
        }
        else if (!_backlog.TryAdd(request))
        {
            _backlog.Reject(request, string.Create(CultureInfo.InvariantCulture, $"another migration runs and {_backlog.Count} sources wait"));
        }
    }

    /// <exception cref="ConnectFailedException">This process can start no thread now.</exception>
    private void OpenAside(ConnectionRequest request)
    {
        _busy = true;
        try
        {
            _aside.Run(() => Open(request));
        }
        catch
        {
            SetFree();
            throw;
        }
    }

    /// <summary>Builds a migration's first connection. On a thread of its own; the listener is busy from before until <see cref="Release"/>.</summary>
    private void Open(ConnectionRequest request)
    {
        if (TryBuild(request) is not { } connection)
        {
            SetFree();
            return;
        }

        RdmaIncomingChannel channel = new(this, connection, request, _options.ExchangeTimeout);
        connection.Watched.Established = () => HandOut(channel);
        connection.Watched.NeverEstablished = lost =>
        {
            ListenerLog.NotEstablished(_log, connection.Peer, lost.Message);
            _aside.RunEventually(channel.Dispose);
        };
        Volatile.Write(ref _active, channel);
        Accept(connection, request);
    }

    /// <summary>Builds the running migration's return path. On a thread of its own.</summary>
    private void OpenReturnPath(RdmaIncomingChannel channel, ConnectionRequest request)
    {
        if (TryBuild(request) is not { } connection)
        {
            return;
        }

        connection.Watched.Established = () =>
        {
            if (!channel.TrySetReturnPath(connection))
            {
                _aside.RunEventually(connection.Dispose);
            }
        };
        connection.Watched.NeverEstablished = lost =>
        {
            ListenerLog.NotEstablished(_log, connection.Peer, lost.Message);
            _aside.RunEventually(connection.Dispose);
        };
        Accept(connection, request);
    }

    /// <summary>The source completed the connection. On the waiter's thread.</summary>
    private void HandOut(RdmaIncomingChannel channel)
    {
        if (!channel.TryTakeOver())
        {
            return;
        }

        if (!_options.Queues)
        {
            _backlog.RejectAll(AnotherRuns);
        }

        try
        {
            _accepted(channel);
        }
        catch (Exception fault)
        {
            // Nobody has the channel, so nobody else would dispose it, and no other source would ever get in.
            ListenerLog.Fault(_log, fault);
            _aside.RunEventually(channel.Dispose);
        }
    }

    private RdmaConnection? TryBuild(ConnectionRequest request)
    {
        try
        {
            return RdmaConnection.FromRequest(
                _waiter, request.Id, new RdmaConnectionOptions(_options.KeepAliveInterval, _options.AcceptTimeout, _options.SpinTime, SendDepth));
        }
        catch (Exception failed) when (failed is VerbsException or TransportException or PlatformNotSupportedException)
        {
            _backlog.Reject(request, failed.Message);
            return null;
        }
        catch (Exception fault)
        {
            ListenerLog.Fault(_log, fault);
            _backlog.Reject(request, "the destination failed to serve the request; its log has the reason");
            return null;
        }
    }

    private static void Accept(RdmaConnection connection, ConnectionRequest request)
    {
        RdmaCapabilities asked = request.Capabilities.GetValueOrDefault();
        Span<byte> reply = stackalloc byte[RdmaCapabilities.Size];
        new RdmaCapabilities(asked.Version, asked.Flags & RdmaCapabilities.PinAll).Write(reply);
        connection.Accept(reply);
    }

    private void SetFree()
    {
        _busy = false;
        _waiter.Wake();
    }

    private void ServeBacklog()
    {
        if (_busy || _backlog.Take() is not { } next)
        {
            return;
        }

        try
        {
            OpenAside(next);
        }
        catch (ConnectFailedException none)
        {
            _backlog.Reject(next, none.Message);
        }
    }

    private sealed class ListenSource(RdmaListener listener, int descriptor) : IWaitSource
    {
        private readonly int[] _descriptors = [descriptor];

        public ReadOnlySpan<int> Descriptors => _descriptors;

        public Deadline Deadline => listener._backlog.Count > 0 && !listener._busy
            ? Deadline.Passed
            : Deadline.At(Math.Min(Volatile.Read(ref listener._retryAt), listener._aside.RetryAt));

        public void OnReady(int index)
        {
            while (listener._events.TryGetEvent(out CmEvent? happened))
            {
                using (happened)
                {
                    listener.OnEvent(happened);
                }
            }
        }

        public void OnDeadline(long now)
        {
            listener.ServeBacklog();
            if (Volatile.Read(ref listener._retryAt) <= now)
            {
                Volatile.Write(ref listener._retryAt, long.MaxValue);
                listener._aside.RunEventually(listener.ListenAgain);
            }

            if (listener._aside.RetryAt <= now)
            {
                listener._aside.Retry();
            }
        }

        public void OnFault(Exception fault) => ListenerLog.Fault(listener._log, fault);
    }
}
