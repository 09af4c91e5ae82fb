using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// Listens on TCP or a UNIX domain socket and decides whose turn it is: the first connection that begins a migration stream is served, others wait or are
/// reset. It runs on the completion waiter's thread.
/// </summary>
/// <remarks>
/// A socket takes what a source writes whether or not somebody reads it, and a small machine fits in. So no source may stay in the kernel's backlog: it would
/// believe that its machine has arrived. Where one machine is taken, the sockets close when the source's RAM has begun and its other connections have been
/// made.
/// </remarks>
internal sealed class SocketListener : ChannelListener
{
    private readonly CompletionWaiter _waiter;
    private readonly ListenerOptions _options;
    private readonly TlsCredentials? _credentials;
    private readonly Action<IncomingChannel> _accepted;
    private readonly ILogger _log;
    private readonly Acceptor _acceptor;
    private readonly Candidates _candidates;
    private readonly Turn _turn;

    // Sources that wait, in the order in which they began their streams.
    private readonly Queue<Candidate> _waiting = new();

    // Channels of the source whose migration runs, which fails for them.
    private readonly List<Candidate> _multifd = [];
    private volatile DescriptorIncomingChannel? _active;

    // Where one machine is taken: false from the first source on, until Resume. Whoever comes meanwhile is not served, also when the migration has just ended.
    private volatile bool _admits = true;

    // A source on the host of the active one was refused, so a channel of multifd may be of either.
    private bool _hasRefusedNeighbour;

    // The active source has begun to send RAM, so all its connections have been made.
    private volatile bool _ramHasBegun;
    private bool _hasAllConnections;

    private SocketListener(
        CompletionWaiter waiter,
        IReadOnlyList<ListeningSocket> sockets,
        MigrationUri uri,
        ListenerOptions options,
        TlsCredentials? credentials,
        Action<IncomingChannel> accepted,
        ILogger log)
    {
        _waiter = waiter;
        _options = options;
        _credentials = credentials;
        _accepted = accepted;
        _log = log;
        _acceptor = new Acceptor(waiter, sockets, uri, options.Backlog, keepsBacklog: options.Queues, log) { Entered = OnEntered };
        _candidates = new Candidates(waiter, options.FirstBytesTimeout, log) { Shown = OnShown, MayBeSilent = IsOfRunning };
        _turn = new Turn(OnTurn, () => IsTurnDue ? Deadline.Passed : _acceptor.Deadline, log);
    }

    /// <inheritdoc/>
    public override MigrationUri Uri => _acceptor.Uri;

    /// <inheritdoc/>
    public override IPEndPoint? LocalEndPoint => _acceptor.Address as IPEndPoint;

    /// <exception cref="ConnectFailedException">The addresses cannot be listened at, or the files for TLS cannot be used.</exception>
    public static SocketListener Listen(
        CompletionWaiter waiter, TcpUri uri, ListenerOptions options, Action<IncomingChannel> accepted, ILogger log)
    {
        TlsCredentials? credentials = options.Tls is { } tls ? TlsCredentials.Load(tls, TlsEndpoint.Server) : null;
        IReadOnlyList<ListeningSocket> sockets = SocketBinding.Bind(uri, options.Backlog);
        IPEndPoint at = (IPEndPoint)sockets[0].Address;
        bool isOneAddress = sockets.Count == 1 && uri.Host.Length > 0;
        TcpUri bound = uri with { Host = isOneAddress ? at.Address.ToString() : uri.Host, Port = at.Port };
        return Start(waiter, sockets, bound, options, credentials, accepted, log);
    }

    /// <exception cref="ConnectFailedException">The path cannot be listened at.</exception>
    public static SocketListener Listen(
        CompletionWaiter waiter, UnixUri uri, ListenerOptions options, Action<IncomingChannel> accepted, ILogger log) =>
        Start(waiter, [SocketBinding.Bind(uri, options.Backlog)], uri, options, credentials: null, accepted, log);

    /// <inheritdoc/>
    public override void StopListening() => _turn.Stop(_waiter, () =>
    {
        // Whoever the kernel has let in by now may have sent everything.
        _acceptor.Close();
        foreach ((Candidate candidate, ConnectionKind kind) in _candidates.Stop())
        {
            if (_options.Queues && kind is ConnectionKind.Source)
            {
                _waiting.Enqueue(candidate);
            }
            else if (kind is ConnectionKind.Unknown)
            {
                SocketListenerLog.Stopped(_log, candidate.Peer);
                candidate.Reset();
            }
            else
            {
                Refuse(candidate, Stopped);
            }
        }
    });

    /// <inheritdoc/>
    public override void Resume()
    {
        _admits = true;
        _acceptor.OpenNow();
    }

    /// <inheritdoc/>
    public override IncomingChannel? TakeWaiting() => _waiting.TryDequeue(out Candidate? next) ? Open(next) : null;

    /// <inheritdoc/>
    public override void Dispose()
    {
        StopListening();
        while (_waiting.TryDequeue(out Candidate? waiting))
        {
            Refuse(waiting, Stopped);
        }

        ResetMultifd();
        _turn.Dispose();
    }

    private const string Multifd = "this is a multifd channel; turn multifd off at the source ('migrate_set_capability multifd off')";

    private const string Stopped = "the destination stopped listening";

    private static SocketListener Start(
        CompletionWaiter waiter,
        IReadOnlyList<ListeningSocket> sockets,
        MigrationUri uri,
        ListenerOptions options,
        TlsCredentials? credentials,
        Action<IncomingChannel> accepted,
        ILogger log)
    {
        SocketListener listener = new(waiter, sockets, uri, options, credentials, accepted, log);
        waiter.Add(listener._turn);
        return listener;
    }

    /// <summary>A migration runs, or nobody is served behind the one that has run.</summary>
    private bool IsTaken => _active is not null || !_admits;

    /// <summary>Connections that are neither served nor closed.</summary>
    private int Kept => _candidates.Count + _waiting.Count + _multifd.Count;

    private bool IsTurnDue => _active is null
        ? _multifd.Count > 0 || (_admits && _waiting.Count > 0)
        : _ramHasBegun && !_hasAllConnections;

    /// <summary>A connection has been accepted.</summary>
    private void OnEntered(Candidate candidate)
    {
        if (candidate.EndPoint is { } peer && AllowedPeers.WhyRefused(peer, _options.Allow) is { } refusal)
        {
            Refuse(candidate, refusal);
        }
        else if (!_options.Queues && IsTaken && !IsOfActive(candidate))
        {
            Refuse(candidate, AnotherRuns);
        }
        else if (!HasRoom())
        {
            Refuse(candidate, $"{_options.Backlog} connections wait");
        }
        else
        {
            candidate.Credentials = _credentials;
            _candidates.Add(candidate);
        }
    }

    /// <summary>Whether another connection may wait. A source begins its stream soon: the oldest one that is silent makes room for the next one.</summary>
    private bool HasRoom()
    {
        // At the end all that the kernel has let in are looked at.
        if (_turn.IsStopping || Kept < _options.Backlog)
        {
            return true;
        }

        _candidates.LookAtAll();
        if (Kept < _options.Backlog)
        {
            return true;
        }

        if (_candidates.Take(_ => true) is not { } silent)
        {
            return false;
        }

        SocketListenerLog.Displaced(_log, silent.Peer);
        silent.Reset();
        return true;
    }

    /// <summary>A connection has shown what it is.</summary>
    private void OnShown(Candidate candidate, ConnectionKind kind)
    {
        switch (kind)
        {
            case not ConnectionKind.Stranger when _credentials is not null && !candidate.IsEncrypted:
                candidate.DemandTls();
                Refuse(candidate, "it begins without TLS, which this destination demands: set tls-creds at the source, or unset it here");
                break;
            case ConnectionKind.Source:
                OnSource(candidate);
                break;
            case ConnectionKind.MultifdChannel:
                OnMultifd(candidate);
                break;
            case ConnectionKind.TlsClient:
                Refuse(candidate, "it begins with a TLS handshake, and this destination has no TLS: set tls-creds here too, or set it to '' at the source");
                break;
            default:
                Refuse(candidate, $"it begins with bytes {Convert.ToHexString(candidate.First)}; a migration stream begins with 5145564D");
                break;
        }
    }

    private void OnSource(Candidate source)
    {
        if (!IsTaken)
        {
            Serve(source);
        }
        else if (_options.Queues)
        {
            _waiting.Enqueue(source);
        }
        else
        {
            _hasRefusedNeighbour |= IsOfActive(source);
            Refuse(source, AnotherRuns);
        }
    }

    /// <summary>Another source on the host of the active one may be there. A connection that is silent may be that source's main one.</summary>
    private bool HasNeighbour => _waiting.Any(IsOfActive) || (_hasAllConnections && _candidates.Any(IsOfActive));

    private void OnMultifd(Candidate channel)
    {
        // The main connection is made first, but what it sends may come last.
        if (!IsTaken && _candidates.Take(other => MayBeMainOf(channel, other)) is { } main)
        {
            Serve(main);
        }

        DescriptorIncomingChannel? active = _active;
        if (active is null || !IsOfActive(channel) || _hasRefusedNeighbour || HasNeighbour)
        {
            // Of two sources on one host nothing tells whose it is. Resetting it fails the migration at that one.
            Refuse(channel, Multifd);
            return;
        }

        // Reset now, the source would break off, and the reason would be that.
        _multifd.Add(channel);
        active.Refuse(
            $"the source {active.Peer} has capability multifd on and sends pages on other connections, which rdmamig does not support; "
            + "turn multifd off there ('migrate_set_capability multifd off')");
    }

    private void Serve(Candidate source)
    {
        DescriptorIncomingChannel channel = Open(source);
        _admits = _options.Queues;
        _hasRefusedNeighbour = false;
        _ramHasBegun = false;
        _hasAllConnections = false;
        _active = channel;
        while (!_options.Queues && _candidates.Take(other => !IsOfActive(other)) is { } other)
        {
            Refuse(other, AnotherRuns);
        }

        _accepted(channel);
    }

    private DescriptorIncomingChannel Open(Candidate source) =>
        source.Open(Uri.Scheme, _waiter, _options.KeepAliveInterval, disposed: AcceptNext, ramBegins: OnRamBegins);

    private static bool MayBeMainOf(Candidate channel, Candidate other) =>
        other.First.Length == 0 && Equals(other.Address, channel.Address) && other.IsEncrypted == channel.IsEncrypted;

    /// <summary>Whether a connection may be of the source whose migration runs; without an address nothing tells them apart.</summary>
    private bool IsOfActive(Candidate candidate) => Equals(candidate.Address, _active?.SourceAddress);

    /// <summary>A source has silent connections too while its migration runs: those of postcopy-preempt.</summary>
    private bool IsOfRunning(Candidate candidate) => _active is { } active && Equals(candidate.Address, active.SourceAddress);

    /// <summary>Resets the connection, so that what the source has written fails there.</summary>
    private void Refuse(Candidate candidate, string reason)
    {
        ListenerLog.Rejected(_log, candidate.Peer, reason);
        candidate.Reset();
    }

    /// <summary>A migration's channel is disposed: the next source may come in. Any thread.</summary>
    private void AcceptNext()
    {
        _active = null;
        _waiter.Wake();
    }

    /// <summary>A source has begun to send RAM, so all its connections have been made. Any thread.</summary>
    private void OnRamBegins()
    {
        _ramHasBegun = true;
        _waiter.Wake();
        if (!_options.Queues)
        {
            _acceptor.Want(open: false);
        }
    }

    private void OnTurn()
    {
        if (_active is not null)
        {
            if (_ramHasBegun && !_hasAllConnections)
            {
                // Those that have come by now may be its own.
                _acceptor.AcceptAll();
                _candidates.LookAtAll();
                _hasAllConnections = true;
            }
        }
        else
        {
            ResetMultifd();
            if (_admits && _waiting.TryDequeue(out Candidate? next))
            {
                Serve(next);
            }
        }

        _acceptor.Settle();
    }

    private void ResetMultifd()
    {
        foreach (Candidate channel in _multifd)
        {
            Refuse(channel, Multifd);
        }

        _multifd.Clear();
    }
}
