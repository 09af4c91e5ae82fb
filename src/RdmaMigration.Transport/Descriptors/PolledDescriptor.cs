using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>
/// A descriptor that never blocks, and an event beside it: whoever waits for the descriptor is woken by <see cref="Fail"/>. One thread writes, one reads;
/// <see cref="Fail"/> and the properties are for any thread.
/// </summary>
internal sealed unsafe partial class PolledDescriptor : IDisposable
{
    private readonly object _gate = new();
    private readonly IDisposable _owner;
    private readonly int _descriptor;
    private readonly int _flags;
    private readonly int _wake;
    private ConnectionLostException? _lost;
    private bool _closed;
    private bool _disposed;

    /// <param name="handle">A descriptor of any kind; owned from now on, also when the constructor throws. Its flags are restored when it is closed.</param>
    /// <param name="peer">The other side, for messages.</param>
    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public PolledDescriptor(SafeHandle handle, string peer) : this(handle, handle, peer)
    {
    }

    /// <param name="socket">As above. Nobody else reads from it or writes to it any more.</param>
    /// <param name="peer">The other side, for messages.</param>
    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public PolledDescriptor(Socket socket, string peer) : this(socket, socket.SafeHandle, peer)
    {
    }

    // A socket is closed by itself, not by its handle: that would reset the connection.
    private PolledDescriptor(IDisposable owner, SafeHandle handle, string peer)
    {
        _owner = owner;
        Peer = peer;
        _descriptor = handle.DangerousGetHandle().ToInt32();
        _flags = fcntl(_descriptor, F_GETFL);
        _wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (_flags < 0 || _wake < 0 || fcntl(_descriptor, F_SETFL, _flags | O_NONBLOCK) < 0)
        {
            string reason = ErrorText.Of(errno);
            _ = close(_wake);
            owner.Dispose();
            throw new ConnectFailedException($"{peer}: the descriptor cannot be set up: {reason}");
        }

        _segments = (iovec*)NativeMemory.Alloc(GatheredWrite.MostSegments, (nuint)sizeof(iovec));
    }

    /// <summary>The other side, for messages.</summary>
    public string Peer { get; }

    /// <summary>What happened when the other side has closed, in words; called by the thread that finds out.</summary>
    public Func<string>? Disconnection { get; init; }

    /// <summary>Looks after the peer while somebody waits for it; null for what is not TCP. Set before the first read or write.</summary>
    public TcpVigil? Vigil { get; set; }

    /// <summary>The descriptor's number; for calls that do not block, by the threads that read and write.</summary>
    public int Number => _descriptor;

    /// <summary>Why the descriptor is errored; null while it is not. The first reason stays.</summary>
    public ConnectionLostException? Lost => Volatile.Read(ref _lost);

    /// <summary>Marks the descriptor errored and wakes whoever waits.</summary>
    public void Fail(ConnectionLoss loss, string message)
    {
        ConnectionLostException reason = new(loss, message, Stopwatch.GetTimestamp());
        lock (_gate)
        {
            if (_disposed || _lost is not null)
            {
                return;
            }

            Volatile.Write(ref _lost, reason);

            // The count stays: all threads see it, however late they come to wait.
            ulong one = 1;
            _ = write(_wake, &one, sizeof(ulong));
        }
    }

    /// <summary>Throws the reason if the descriptor is errored.</summary>
    public void ThrowIfLost()
    {
        if (Lost is { } lost)
        {
            throw new ConnectionLostException(lost.Loss, lost.Message, lost.DetectedAt);
        }
    }

    /// <summary>Reads what is there, waiting for the first byte.</summary>
    /// <returns>Bytes; 0 at the end of the bytes; null when nothing came within <paramref name="idle"/>.</returns>
    /// <exception cref="ConnectionLostException">The descriptor is errored.</exception>
    public int? Read(Span<byte> buffer, TimeSpan idle)
    {
        while (true)
        {
            // Lost is read before the descriptor: what had arrived when it was lost is handed out first. A shutdown waits for nobody who goes on sending.
            ConnectionLostException? lost = Lost;
            if (lost is { Loss: ConnectionLoss.Shutdown })
            {
                ThrowIfLost();
            }

            nint count;
            fixed (byte* first = buffer)
            {
                count = (nint)read(_descriptor, first, buffer.Length);
            }

            if (count >= 0)
            {
                return (int)count;
            }

            int error = errno;
            if (error == EAGAIN)
            {
                if (lost is not null)
                {
                    ThrowIfLost();
                }

                if (!Wait(POLLIN, idle))
                {
                    return null;
                }
            }
            else if (error != EINTR)
            {
                FailWith(error, "read");
            }
        }
    }

    /// <summary>Waits for some of <paramref name="events"/> or an error on the descriptor, or until it is lost; false when the time is over.</summary>
    public bool Wait(short events, TimeSpan timeout)
    {
        if (Vigil is not { } vigil)
        {
            return Poll(_descriptor, events, timeout);
        }

        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            TimeSpan left = Left(timeout, start);
            if (Poll(_descriptor, events, left < vigil.Every ? left : vigil.Every))
            {
                return true;
            }

            if (left <= vigil.Every)
            {
                return false;
            }

            FailIfSilent(vigil);
        }
    }

    /// <summary>
    /// Looks, without waiting, whether the other side of a socket is still there, and marks the descriptor errored if not. Nobody may write meanwhile.
    /// </summary>
    /// <param name="probe">What the other side ignores; sent to one that has closed its direction, since only the answer tells whether it has closed both.</param>
    public void CheckPeer(ReadOnlySpan<byte> probe)
    {
        pollfd polled = new() { fd = _descriptor, events = POLLRDHUP };
        if (poll(&polled, 1, 0) > 0)
        {
            fixed (byte* first = probe)
            {
                int error = (nint)write(_descriptor, first, probe.Length) < 0 ? errno : 0;
                if (error != 0 && error != EAGAIN && error != EINTR)
                {
                    FailFor(error, "write");
                }
                else if ((polled.revents & (POLLHUP | POLLERR)) != 0)
                {
                    Fail(ConnectionLoss.Disconnected, SayDisconnected());
                }
            }
        }

        if (Vigil is { } vigil)
        {
            FailIfSilent(vigil);
        }
    }

    /// <summary>Waits so long.</summary>
    /// <exception cref="ConnectionLostException">The descriptor is errored.</exception>
    public void Pause(TimeSpan time)
    {
        Poll(-1, 0, time);
        ThrowIfLost();
    }

    /// <summary>Closes the descriptor, before <see cref="Dispose"/> and so that the other side sees the end. Nobody may read or write any more.</summary>
    public void Close()
    {
        if (!_closed)
        {
            _closed = true;
            _ = fcntl(_descriptor, F_SETFL, _flags);
            _owner.Dispose();
        }
    }

    /// <summary>Frees everything. The threads that read and write must be out of it.</summary>
    public void Dispose()
    {
        Fail(ConnectionLoss.Shutdown, $"the connection with {Peer} is closed");
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            _ = close(_wake);
        }

        Close();
        NativeMemory.Free(_segments);
    }

    /// <summary>What to throw when the other side has closed.</summary>
    public ConnectionLostException Disconnected() => new(ConnectionLoss.Disconnected, SayDisconnected(), Stopwatch.GetTimestamp());

    private void FailIfSilent(TcpVigil vigil)
    {
        if (vigil.IsPeerGone)
        {
            Fail(ConnectionLoss.Unreachable, $"{Peer} does not answer: it has acknowledged nothing for {vigil.Patience.TotalSeconds:0.#} s");
        }
    }

    private string SayDisconnected() => Disconnection?.Invoke() ?? $"{Peer} disconnected";

    /// <summary>Marks the descriptor errored for a system call's reason, and throws that.</summary>
    private void FailWith(int error, string call)
    {
        FailFor(error, call);
        ThrowIfLost();
    }

    private void FailFor(int error, string call)
    {
        (ConnectionLoss loss, string message) = error switch
        {
            _ when error == EPIPE || error == ECONNRESET => (ConnectionLoss.Disconnected, SayDisconnected()),
            _ when error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN =>
                (ConnectionLoss.Unreachable, $"{Peer} does not answer any more: {ErrorText.Of(error)}"),
            _ => (ConnectionLoss.TransportError, $"{Peer}: {call}: {ErrorText.Of(error)}"),
        };
        Fail(loss, message);
    }

    /// <param name="descriptor">-1 waits for the time alone.</param>
    /// <param name="events">What to wait for.</param>
    /// <param name="timeout">How long; infinite is allowed.</param>
    private bool Poll(int descriptor, short events, TimeSpan timeout)
    {
        pollfd* polled = stackalloc pollfd[2];
        polled[0] = new pollfd { fd = _wake, events = POLLIN };
        polled[1] = new pollfd { fd = descriptor, events = events };
        long start = Stopwatch.GetTimestamp();
        int ready;
        do
        {
            // EINTR goes round.
            ready = poll(polled, 2, Milliseconds(Left(timeout, start)));
        }
        while (ready < 0);
        return ready > 0;
    }

    /// <summary>What is left of a time that began at a timestamp: the longest span of an infinite one, and never below zero.</summary>
    private static TimeSpan Left(TimeSpan timeout, long start)
    {
        if (timeout == Timeout.InfiniteTimeSpan || timeout == TimeSpan.MaxValue)
        {
            return TimeSpan.MaxValue;
        }

        TimeSpan left = timeout - Stopwatch.GetElapsedTime(start);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <summary>poll(2)'s time-out; it waits for ever at the longest span.</summary>
    private static int Milliseconds(TimeSpan left) => left == TimeSpan.MaxValue ? -1 : (int)Math.Min(Math.Ceiling(left.TotalMilliseconds), int.MaxValue);
}
