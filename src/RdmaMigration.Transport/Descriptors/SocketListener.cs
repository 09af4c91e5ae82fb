using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>
/// Listens on a TCP or a UNIX domain socket. While a migration runs, each further connection is looked at: one of a QEMU with capability multifd fails the
/// migration, whose pages would go by it; another source waits, or is refused where only one machine is taken. A socket takes what a source writes whether or not
/// somebody reads it, and a small machine fits in, so nobody may be left in the kernel's backlog: its source would believe that the machine has arrived. For the
/// same reason, where one machine is taken, the socket is closed once the source's RAM has begun, when its other connections are there: a reset that follows the
/// first byte comes too late now and then. It runs on the completion waiter's thread.
/// </summary>
internal sealed unsafe class SocketListener : ChannelListener
{
    /// <summary>The first byte of a multifd channel's magic, 0x11223344; a stream's is 'Q'.</summary>
    private const int MultifdFirstByte = 0x11;

    /// <summary>How long nothing is accepted when this process has no descriptor left for it.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly object _gate = new();
    private readonly CompletionWaiter _waiter;
    private readonly ListenerOptions _options;
    private readonly Action<IncomingChannel> _accepted;
    private readonly ILogger _log;
    private volatile ListeningSocket _socket;

    // In the order of their arrival. The waiter's thread alone serves them, until nobody listens any more.
    private readonly List<Caller> _callers = [];

    // Channels of the source whose migration runs, which fails for them. The waiter's thread alone uses them, until nobody listens any more.
    private readonly List<Caller> _multifd = [];
    private Turn? _turn;
    private volatile DescriptorIncomingChannel? _active;

    // Where one machine is taken: false from the first source on, until Resume. Whoever comes meanwhile is not served, also when the migration has just ended.
    private volatile bool _admits = true;

    // A source on the host of the active one was refused, so a channel of multifd may be of either.
    private bool _hasRefusedNeighbour;
    private volatile bool _closeRequested;
    private volatile bool _openRequested;
    private bool _isOpen = true;
    private bool _stopped;

    private SocketListener(
        CompletionWaiter waiter, ListeningSocket socket, MigrationUri uri, ListenerOptions options, Action<IncomingChannel> accepted, ILogger log)
    {
        _waiter = waiter;
        _socket = socket;
        Uri = uri;
        _options = options;
        _accepted = accepted;
        _log = log;
        TakeTurn(new Turn(this, [socket.Number], long.MaxValue));
    }

    /// <inheritdoc/>
    public override MigrationUri Uri { get; }

    /// <inheritdoc/>
    public override IPEndPoint? LocalEndPoint => _socket.Address as IPEndPoint;

    /// <exception cref="ConnectFailedException">No address of the host can be listened at.</exception>
    public static SocketListener Listen(
        CompletionWaiter waiter, TcpUri uri, ListenerOptions options, Action<IncomingChannel> accepted, ILogger log)
    {
        ListeningSocket socket = ListeningSocket.Bind(uri, options.Backlog);
        IPEndPoint at = (IPEndPoint)socket.Address;
        return new SocketListener(waiter, socket, uri with { Host = uri.Host.Length == 0 ? "" : at.Address.ToString(), Port = at.Port }, options, accepted, log);
    }

    /// <exception cref="ConnectFailedException">The path cannot be listened at.</exception>
    public static SocketListener Listen(
        CompletionWaiter waiter, UnixUri uri, ListenerOptions options, Action<IncomingChannel> accepted, ILogger log) =>
        new(waiter, ListeningSocket.Bind(uri, options.Backlog), uri, options, accepted, log);

    /// <inheritdoc/>
    public override void StopListening()
    {
        EndTurn(last: true);
        foreach (Caller caller in Callers)
        {
            _waiter.Remove(caller);
        }

        if (_isOpen)
        {
            // Whoever the kernel has let in by now may have sent everything.
            while (AcceptOne() is { } caller)
            {
                _callers.Add(caller);
            }

            CloseSocket();
        }
    }

    /// <inheritdoc/>
    public override void Resume()
    {
        _admits = true;
        _openRequested = true;
        _waiter.Wake();
    }

    /// <inheritdoc/>
    public override IncomingChannel? TakeWaiting()
    {
        while (_callers.Count > 0)
        {
            Caller caller = _callers[0];
            _callers.RemoveAt(0);
            if (_options.Queues && SocketBytes.First(caller.Number) != SocketBytes.None)
            {
                return Open(caller);
            }

            Refuse(caller, Stopped);
        }

        return null;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        StopListening();
        foreach (Caller caller in Callers)
        {
            Refuse(caller, Stopped);
        }

        _callers.Clear();
        ResetMultifd();
    }

    private const string Multifd = "it is a channel of capability multifd";

    private const string Stopped = "the destination stopped listening";

    private const string AnotherRuns = "another source's migration runs, and only one machine is taken";

    private Caller[] Callers
    {
        get
        {
            lock (_gate)
            {
                return [.. _callers];
            }
        }
    }

    private void OnConnection()
    {
        if (AcceptOne() is not { } caller)
        {
            return;
        }

        if (_active is null && _admits)
        {
            Serve(caller);
        }
        else
        {
            Keep(caller);
        }
    }

    private void Serve(Caller caller)
    {
        DescriptorIncomingChannel channel = Open(caller);
        _admits = _options.Queues;
        _hasRefusedNeighbour = false;
        _active = channel;
        _accepted(channel);
    }

    /// <summary>Accepts a connection that may come in; null when there is none.</summary>
    private Caller? AcceptOne()
    {
        SocketAddress native = new(_socket.Address.AddressFamily, 128);
        socklen_t size = (uint)native.Size;
        int descriptor;
        int error;
        fixed (byte* first = native.Buffer.Span)
        {
            descriptor = accept4(_socket.Number, (sockaddr*)first, &size, SOCK_CLOEXEC);
            error = errno;
        }

        if (descriptor < 0)
        {
            if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
            {
                ListenerLog.Rejected(_log, Uri.ToString(), ErrorText.Of(error));
                EndTurn(last: false);
                Pause();
            }

            // Else the source has gone again.
            return null;
        }

        native.Size = (int)(uint)size;
        Caller caller = NewCaller(new SafeFileHandle(descriptor, ownsHandle: true), native);
        if (_options.Allow.Count > 0 && caller.Address is { } address && !_options.Allow.Any(network => network.Contains(address)))
        {
            ListenerLog.Rejected(_log, caller.Peer, $"{address} is in none of the allowed networks {string.Join(", ", _options.Allow)}");
            caller.Socket.Dispose();
            return null;
        }

        return caller;
    }

    private Caller NewCaller(SafeFileHandle socket, SocketAddress from)
    {
        if (_socket.Address is not IPEndPoint local)
        {
            return new Caller(this, socket, Uri.ToString(), null);
        }

        IPEndPoint source = (IPEndPoint)local.Create(from);
        IPAddress address = source.Address.IsIPv4MappedToIPv6 ? source.Address.MapToIPv4() : source.Address;
        return new Caller(this, socket, new IPEndPoint(address, source.Port).ToString(), address);
    }

    private DescriptorIncomingChannel Open(Caller caller)
    {
        PolledDescriptor descriptor = new(caller.Socket, caller.Peer);
        if (LocalEndPoint is not null)
        {
            TcpOptions.Apply(descriptor, _options.KeepAliveInterval);
        }

        return new DescriptorIncomingChannel(descriptor, Uri.Scheme, isSocket: true, _waiter, AcceptNext) { SourceAddress = caller.Address, Begun = CloseIfSingle };
    }

    /// <summary>A connection while a migration runs: what it is shows by its first byte.</summary>
    private void Keep(Caller caller)
    {
        int waiting = Callers.Length;
        if (!_options.Queues && !IsOfActive(caller))
        {
            Refuse(caller, AnotherRuns);
        }
        else if (waiting == _options.Backlog)
        {
            Refuse(caller, $"another migration runs and {waiting} connections wait");
        }
        else
        {
            lock (_gate)
            {
                _callers.Add(caller);
            }

            _waiter.Add(caller);
        }
    }

    /// <summary>A caller has sent something, or has gone.</summary>
    private void OnFirstByte(Caller caller)
    {
        _waiter.Remove(caller);
        int first = SocketBytes.First(caller.Number);
        DescriptorIncomingChannel? active = _active;
        if (first == SocketBytes.None)
        {
            Forget(caller);
            caller.Socket.Dispose();
        }
        else if (first == MultifdFirstByte && active is not null)
        {
            Forget(caller);
            if (!IsOfActive(caller) || _hasRefusedNeighbour || Callers.Any(other => other.IsStream && IsOfActive(other)))
            {
                // Of two sources on one host nothing tells whose it is. Resetting it fails the migration at that one.
                Refuse(caller, Multifd);
                return;
            }

            // Reset now, the source would break off, and the reason would be that.
            _multifd.Add(caller);
            active.Refuse(
                $"the source {active.Peer} has capability multifd on and sends pages by other connections, which are not taken here: "
                + "turn it off there ('migrate_set_capability multifd off')");
        }
        else if (!_options.Queues && (active is not null || !_admits))
        {
            Forget(caller);
            _hasRefusedNeighbour |= IsOfActive(caller);
            Refuse(caller, AnotherRuns);
        }
        else
        {
            caller.IsStream = true;
        }
    }

    /// <summary>Whether a connection may be of the source whose migration runs; without an address nothing tells them apart.</summary>
    private bool IsOfActive(Caller caller) => Equals(caller.Address, _active?.SourceAddress);

    private void Forget(Caller caller)
    {
        lock (_gate)
        {
            _callers.Remove(caller);
        }
    }

    /// <summary>Resets the connection, so that what the source has written fails there.</summary>
    private void Refuse(Caller caller, string reason)
    {
        ListenerLog.Rejected(_log, caller.Peer, reason);
        caller.Reset();
    }

    /// <summary>A migration's channel is disposed: the next source may come in.</summary>
    private void AcceptNext()
    {
        _active = null;
        _waiter.Wake();
    }

    /// <summary>A source has begun to send RAM, so all its connections have been made. Any thread.</summary>
    private void CloseIfSingle()
    {
        if (!_options.Queues)
        {
            _closeRequested = true;
            _waiter.Wake();
        }
    }

    private bool IsDue => (_active is null && _multifd.Count > 0) || NextIsDue || _closeRequested || _openRequested;

    private bool NextIsDue => _active is null && _admits && Callers.Length > 0;

    private void OnDue()
    {
        if (_active is null && _multifd.Count > 0)
        {
            ResetMultifd();
        }
        else if (_closeRequested)
        {
            _closeRequested = false;
            while (_isOpen && AcceptOne() is { } caller)
            {
                Keep(caller);
            }

            EndTurn(last: false);
            CloseSocket();
            TakeTurn(new Turn(this, [], long.MaxValue));
        }
        else if (_openRequested)
        {
            _openRequested = false;
            EndTurn(last: false);
            Listen();
        }
        else if (NextIsDue)
        {
            ServeNext();
        }
        else
        {
            // A pause is over.
            EndTurn(last: false);
            Listen();
        }
    }

    private void ResetMultifd()
    {
        foreach (Caller caller in _multifd)
        {
            Refuse(caller, Multifd);
        }

        _multifd.Clear();
    }

    /// <summary>Watches the socket, which is opened first where it was closed.</summary>
    private void Listen()
    {
        try
        {
            _socket = _isOpen ? _socket : _socket.Reopen(_options.Backlog);
            _isOpen = true;
            TakeTurn(new Turn(this, [_socket.Number], long.MaxValue));
        }
        catch (ConnectFailedException taken)
        {
            ListenerLog.NotListening(_log, taken.Message);
            Pause();
        }
    }

    private void Pause() => TakeTurn(new Turn(this, [], Stopwatch.GetTimestamp() + (long)(s_pause.TotalSeconds * Stopwatch.Frequency)));

    private void CloseSocket()
    {
        if (_isOpen && _socket.Close() is { } left)
        {
            ListenerLog.LeftBehind(_log, left);
        }

        _isOpen = false;
    }

    private void ServeNext()
    {
        Caller next = Callers[0];
        Forget(next);
        _waiter.Remove(next);
        Serve(next);
    }

    private void TakeTurn(Turn turn)
    {
        lock (_gate)
        {
            if (_stopped)
            {
                return;
            }

            _turn = turn;
            _waiter.Add(turn);
        }
    }

    /// <summary>Has the waiter watch nothing for this listener.</summary>
    private void EndTurn(bool last)
    {
        Turn? ended;
        lock (_gate)
        {
            _stopped |= last;
            ended = _turn;
            _turn = null;
        }

        // Without the lock: it waits for the waiter, which may be in Accept.
        if (ended is not null)
        {
            _waiter.Remove(ended);
        }
    }

    /// <summary>What the waiter watches for the listener now: the socket, or a time.</summary>
    private sealed class Turn(SocketListener listener, int[] descriptors, long deadline) : IWaitSource
    {
        public ReadOnlySpan<int> Descriptors => descriptors;

        public long Deadline => listener.IsDue ? 0 : deadline;

        public void OnReady(int index) => listener.OnConnection();

        public void OnDeadline(long now) => listener.OnDue();

        public void OnFault(Exception fault) => ListenerLog.Fault(listener._log, fault);
    }

    /// <summary>A connection that is not served yet. Watched for its first byte.</summary>
    private sealed class Caller(SocketListener listener, SafeFileHandle socket, string peer, IPAddress? address) : IWaitSource
    {
        private readonly int[] _descriptors = [socket.DangerousGetHandle().ToInt32()];

        /// <summary>Owned until it is opened as a channel.</summary>
        public SafeFileHandle Socket { get; } = socket;

        public string Peer { get; } = peer;

        /// <summary>Null on a UNIX domain socket.</summary>
        public IPAddress? Address { get; } = address;

        /// <summary>It has begun to send, and is no channel of multifd. The waiter's thread alone uses it.</summary>
        public bool IsStream { get; set; }

        public ReadOnlySpan<int> Descriptors => _descriptors;

        public long Deadline => long.MaxValue;

        public int Number => _descriptors[0];

        public void Reset()
        {
            linger now = new() { l_onoff = 1, l_linger = 0 };
            _ = setsockopt(Number, SOL_SOCKET, SO_LINGER, &now, sizeof(linger));
            Socket.Dispose();
        }

        public void OnReady(int index) => listener.OnFirstByte(this);

        public void OnDeadline(long now)
        {
        }

        public void OnFault(Exception fault) => ListenerLog.Fault(listener._log, fault);
    }
}
