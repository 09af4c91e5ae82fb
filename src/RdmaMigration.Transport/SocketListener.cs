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
/// somebody reads it, and a small machine fits in, so nobody may be left in the kernel's backlog: its source would believe that the machine has arrived. It runs on
/// the completion waiter's thread.
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
    private readonly ListeningSocket _socket;

    // In the order of their arrival. The waiter's thread alone serves them, until nobody listens any more.
    private readonly List<Caller> _callers = [];
    private Turn? _turn;
    private volatile DescriptorIncomingChannel? _active;
    private bool _stopped;
    private bool _closed;

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
        if (_closed)
        {
            return;
        }

        _closed = true;
        foreach (Caller caller in Callers)
        {
            _waiter.Remove(caller);
        }

        // Whoever the kernel has let in by now may have sent everything.
        while (AcceptOne() is { } caller)
        {
            _callers.Add(caller);
        }

        if (_socket.Close() is { } left)
        {
            ListenerLog.LeftBehind(_log, left);
        }
    }

    /// <inheritdoc/>
    public override IncomingChannel? TakeFinished()
    {
        while (_callers.Count > 0)
        {
            Caller caller = _callers[0];
            _callers.RemoveAt(0);
            if (caller.HasSentEverything)
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
    }

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

        if (_active is null)
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
                TakeTurn(new Turn(this, [], Stopwatch.GetTimestamp() + (long)(s_pause.TotalSeconds * Stopwatch.Frequency)));
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

        return new DescriptorIncomingChannel(descriptor, Uri.Scheme, isSocket: true, _waiter, AcceptNext) { SourceAddress = caller.Address };
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

            // Of two sources on one host nothing tells whose it is: resetting it fails that one's migration too.
            if (IsOfActive(caller) && !Callers.Any(IsOfActive))
            {
                active.Refuse(
                    $"the source {active.Peer} has capability multifd on and sends pages by other connections, which are not taken here: "
                    + "turn it off there ('migrate_set_capability multifd off')");
            }

            Refuse(caller, "it is a channel of capability multifd");
        }
        else if (!_options.Queues && active is not null)
        {
            Forget(caller);
            Refuse(caller, AnotherRuns);
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

    private bool NextIsDue => _active is null && Callers.Length > 0;

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

        public long Deadline => listener.NextIsDue ? 0 : deadline;

        public void OnReady(int index) => listener.OnConnection();

        public void OnDeadline(long now)
        {
            if (listener.NextIsDue)
            {
                listener.ServeNext();
                return;
            }

            listener.EndTurn(last: false);
            listener.TakeTurn(new Turn(listener, [listener._socket.Number], long.MaxValue));
        }

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

        public ReadOnlySpan<int> Descriptors => _descriptors;

        public long Deadline => long.MaxValue;

        public int Number => _descriptors[0];

        /// <summary>It has closed its direction behind some bytes, which are all here then.</summary>
        public bool HasSentEverything => SocketBytes.AreComplete(Number);

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
