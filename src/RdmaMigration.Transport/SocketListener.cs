using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>
/// Listens on a TCP or a UNIX domain socket. While a migration runs nothing is accepted: other sources wait in the kernel's backlog. It runs on the
/// completion waiter's thread.
/// </summary>
internal sealed unsafe class SocketListener : ChannelListener
{
    /// <summary>How long nothing is accepted when this process has no descriptor left for it.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly object _gate = new();
    private readonly CompletionWaiter _waiter;
    private readonly ListenerOptions _options;
    private readonly Action<IncomingChannel> _accepted;
    private readonly ILogger _log;
    private readonly ListeningSocket _socket;
    private Turn? _turn;
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
    public override void Dispose()
    {
        EndTurn(last: true);
        if (_socket.Close() is { } left)
        {
            ListenerLog.LeftBehind(_log, left);
        }
    }

    private void Accept()
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

        if (descriptor >= 0)
        {
            native.Size = (int)(uint)size;
            Admit(new SafeFileHandle(descriptor, ownsHandle: true), native);
        }
        else if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
        {
            ListenerLog.Rejected(_log, Uri.ToString(), ErrorText.Of(error));
            EndTurn(last: false);
            TakeTurn(new Turn(this, [], Stopwatch.GetTimestamp() + (long)(s_pause.TotalSeconds * Stopwatch.Frequency)));
        }

        // Else the source has gone again.
    }

    private void Admit(SafeFileHandle socket, SocketAddress from)
    {
        string peer = Uri.ToString();
        if (_socket.Address is IPEndPoint local)
        {
            IPEndPoint source = (IPEndPoint)local.Create(from);
            IPAddress address = source.Address.IsIPv4MappedToIPv6 ? source.Address.MapToIPv4() : source.Address;
            peer = new IPEndPoint(address, source.Port).ToString();
            if (_options.Allow.Count > 0 && !_options.Allow.Any(network => network.Contains(address)))
            {
                ListenerLog.Rejected(_log, peer, $"{address} is in none of the allowed networks {string.Join(", ", _options.Allow)}");
                socket.Dispose();
                return;
            }
        }

        PolledDescriptor descriptor = new(socket, peer);
        if (LocalEndPoint is not null)
        {
            TcpOptions.Apply(descriptor, _options.KeepAliveInterval);
        }

        EndTurn(last: false);
        _accepted(new DescriptorIncomingChannel(descriptor, Uri.Scheme, isSocket: true, _waiter, AcceptNext));
    }

    /// <summary>A migration's channel is disposed: the next source may come in.</summary>
    private void AcceptNext() => TakeTurn(new Turn(this, [_socket.Number], long.MaxValue));

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

        public long Deadline { get; } = deadline;

        public void OnReady(int index) => listener.Accept();

        public void OnDeadline(long now)
        {
            listener.EndTurn(last: false);
            listener.AcceptNext();
        }

        public void OnFault(Exception fault) => ListenerLog.Fault(listener._log, fault);
    }
}
