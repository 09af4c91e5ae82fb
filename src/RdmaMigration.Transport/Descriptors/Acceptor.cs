using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The sockets that listen for one listener. Somebody wants them open or closed, on any thread; the completion waiter's thread makes it so, and tries again
/// where that fails. Everything but <see cref="Want"/>, <see cref="OpenNow"/> and <see cref="Address"/> is for that thread.
/// </summary>
/// <param name="waiter">Watches the sockets.</param>
/// <param name="sockets">They listen already.</param>
/// <param name="uri">Where, for messages.</param>
/// <param name="backlog">Of each socket.</param>
/// <param name="keepsBacklog">
/// Whoever is in the kernel's backlog when no connection can be accepted stays there, and is accepted later. False: they are reset, so that no source's machine
/// lies there while it is not wanted.
/// </param>
/// <param name="log">For what goes wrong.</param>
internal sealed class Acceptor(
    CompletionWaiter waiter, IReadOnlyList<ListeningSocket> sockets, MigrationUri uri, int backlog, bool keepsBacklog, ILogger log)
{
    /// <summary>After an error, when to try again.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly ILogger _log = log;
    private readonly object _gate = new();

    private Watch? _watch;
    private bool _isOpen = true;
    private volatile bool _isWanted = true;

    // The sockets are closed, or are about to be, and nobody has tried to open them since. Under the gate.
    private bool _isClosing;

    // Until then neither accepted nor opened.
    private Deadline _notBefore = Deadline.Passed;

    /// <summary>Called with each connection.</summary>
    public required Action<Candidate> Entered { get; init; }

    /// <summary>The first address; its port is the one that was chosen when 0 was asked.</summary>
    public EndPoint Address => sockets[0].Address;

    /// <summary>Where the sockets listen.</summary>
    public MigrationUri Uri => uri;

    /// <summary>When <see cref="Settle"/> is due.</summary>
    public Deadline Deadline => _isWanted
        ? _watch is null ? _notBefore : Deadline.Never
        : _isOpen ? Deadline.Passed : Deadline.Never;

    /// <summary>Has the sockets opened or closed. Any thread; the last call counts.</summary>
    public void Want(bool open)
    {
        lock (_gate)
        {
            _isWanted = open;
        }

        waiter.Wake();
    }

    /// <summary>Has the sockets opened, and waits until they are, or cannot be opened now. Any thread but the waiter's.</summary>
    public void OpenNow()
    {
        BlockingCalls.AssertAllowed();
        Want(open: true);
        Deadline patience = Deadline.After(s_pause);
        lock (_gate)
        {
            while (_isClosing && !patience.HasPassed)
            {
                Monitor.Wait(_gate, patience.Milliseconds);
            }
        }
    }

    /// <summary>Makes it as it is wanted, if that is due.</summary>
    public void Settle()
    {
        long now = Stopwatch.GetTimestamp();
        if (!Deadline.HasPassedAt(now))
        {
            return;
        }

        if (IsStillWanted())
        {
            // Stays so when something unexpected is thrown.
            _notBefore = Deadline.After(s_pause, now);
            Open();
            lock (_gate)
            {
                _isClosing = false;
                Monitor.PulseAll(_gate);
            }
        }
        else
        {
            Close();
        }
    }

    /// <summary>Accepts whoever the kernel has let in.</summary>
    public void AcceptAll()
    {
        foreach (ListeningSocket socket in sockets)
        {
            while (_isOpen && TryAccept(socket))
            {
                // The next one.
            }
        }
    }

    /// <summary>Accepts whoever the kernel has let in, then closes the sockets.</summary>
    public void Close()
    {
        StopWatching();
        AcceptAll();
        CloseSockets();
    }

    /// <summary>False: whoever wants them opened from now on waits until they are closed and opened again.</summary>
    private bool IsStillWanted()
    {
        lock (_gate)
        {
            _isClosing |= !_isWanted;
            return _isWanted;
        }
    }

    private void CloseSockets()
    {
        if (!_isOpen)
        {
            return;
        }

        _isOpen = false;
        foreach (ListeningSocket socket in sockets)
        {
            if (socket.Close() is { } left)
            {
                ListenerLog.LeftBehind(_log, left);
            }
        }
    }

    private void Open()
    {
        if (!_isOpen)
        {
            try
            {
                SocketBinding.Reopen(sockets, backlog);
            }
            catch (ConnectFailedException taken)
            {
                ListenerLog.NotListening(_log, taken.Message);
                return;
            }

            _isOpen = true;
        }

        _watch = new Watch(this, [.. sockets]);
        waiter.Add(_watch);
        _notBefore = Deadline.Passed;
    }

    private void StopWatching()
    {
        if (_watch is not null)
        {
            waiter.Remove(_watch);
            _watch = null;
        }
    }

    /// <summary>False when nobody is there, or nobody can be let in now.</summary>
    private bool TryAccept(ListeningSocket listening)
    {
        Socket? accepted = null;
        Candidate candidate;
        try
        {
            accepted = listening.Accept();
            if (accepted is null)
            {
                return false;
            }

            candidate = new Candidate(accepted, uri);
        }
        catch (Exception failed) when (failed is SocketException or ConnectFailedException)
        {
            // Out of descriptors or memory, most likely.
            SocketListenerLog.NotAccepting(_log, uri.ToString(), failed.Message);
            accepted?.Dispose();
            StopWatching();
            if (!keepsBacklog)
            {
                CloseSockets();
            }

            _notBefore = Deadline.After(s_pause);
            return false;
        }

        Entered(candidate);
        return true;
    }

    private sealed class Watch(Acceptor acceptor, ListeningSocket[] sockets) : IWaitSource
    {
        private readonly int[] _descriptors = [.. sockets.Select(socket => socket.Number)];

        public ReadOnlySpan<int> Descriptors => _descriptors;

        public Deadline Deadline => Deadline.Never;

        public void OnReady(int index) => acceptor.TryAccept(sockets[index]);

        public void OnDeadline(long now)
        {
        }

        public void OnFault(Exception fault) => ListenerLog.Fault(acceptor._log, fault);
    }
}
