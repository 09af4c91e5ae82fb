using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// A descriptor that never blocks, and an event beside it: whoever waits for the descriptor is woken by <see cref="Fail"/>. One thread writes, one reads;
/// <see cref="Fail"/> and the properties are for any thread.
/// </summary>
internal sealed class PolledDescriptor : IDisposable
{
    private readonly object _gate = new();
    private readonly IDisposable _owner;
    private readonly int _flags;
    private readonly WakeEvent _wake;
    private ConnectionLostException? _lost;
    private bool _closed;

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
        Number = (int)handle.DangerousGetHandle();
        try
        {
            _flags = Descriptor.GetFlags(Number).OrThrow("fcntl");
            _ = Descriptor.SetNonBlocking(Number).OrThrow("fcntl");
            _wake = new WakeEvent();
        }
        catch (LinuxException failed)
        {
            owner.Dispose();
            throw new ConnectFailedException($"{peer}: the descriptor cannot be set up: {failed.Message}", failed);
        }
    }

    /// <summary>The other side, for messages.</summary>
    public string Peer { get; }

    /// <summary>What happened when the other side has closed, in words; called by the thread that finds out.</summary>
    public Func<string>? Disconnection { get; init; }

    /// <summary>Looks after the peer while somebody waits for it; null for what is not TCP. Set before the first read or write.</summary>
    public TcpVigil? Vigil { get; set; }

    /// <summary>The descriptor's number; for calls that do not block, by the threads that read and write.</summary>
    public int Number { get; }

    /// <summary>Why the descriptor is errored; null while it is not. The first reason stays.</summary>
    public ConnectionLostException? Lost => Volatile.Read(ref _lost);

    /// <summary>Marks the descriptor errored and wakes whoever waits.</summary>
    public void Fail(ConnectionLoss loss, string message)
    {
        ConnectionLostException reason = new(loss, message, Stopwatch.GetTimestamp());
        lock (_gate)
        {
            if (_lost is not null)
            {
                return;
            }

            Volatile.Write(ref _lost, reason);
        }

        // It stays set: all threads see it, however late they come to wait.
        _wake.Set();
    }

    /// <summary>Marks the descriptor errored for what a system call answered.</summary>
    public void FailFor(Errno error, string call)
    {
        (ConnectionLoss loss, string message) = error switch
        {
            Errno.EPIPE or Errno.ECONNRESET => (ConnectionLoss.Disconnected, DescribeDisconnection()),
            Errno.ETIMEDOUT or Errno.EHOSTUNREACH or Errno.ENETUNREACH or Errno.EHOSTDOWN =>
                (ConnectionLoss.Unreachable, $"{Peer} does not answer any more: {error.Text()}"),
            _ => (ConnectionLoss.TransportError, $"{Peer}: {call}: {error.Text()}"),
        };
        Fail(loss, message);
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

            CallResult read = Descriptor.Read(Number, buffer);
            switch (read.Error)
            {
                case Errno.None:
                    return (int)read.Value;
                case Errno.EINTR:
                    break;
                case Errno.EAGAIN:
                    if (lost is not null)
                    {
                        ThrowIfLost();
                    }

                    if (!Wait(PollEvents.Readable, idle))
                    {
                        return null;
                    }

                    break;
                default:
                    FailFor(read.Error, "read");
                    ThrowIfLost();
                    break;
            }
        }
    }

    /// <summary>Waits for some of <paramref name="events"/> or an error on the descriptor, or until it is lost; false when the time is over.</summary>
    public bool Wait(PollEvents events, TimeSpan timeout)
    {
        Deadline deadline = Deadline.After(timeout);
        while (true)
        {
            Deadline next = Vigil is null ? deadline : Deadline.Earlier(deadline, Deadline.After(Vigil.Every));
            if (_wake.Wait(Number, events, next) is not WakeReasons.None)
            {
                return true;
            }

            if (deadline.HasPassed)
            {
                return false;
            }

            FailIfSilent();
        }
    }

    /// <summary>
    /// Looks, without waiting, whether the other side of a socket is still there, and marks the descriptor errored if not. Nobody may write meanwhile.
    /// </summary>
    /// <param name="probe">
    /// Sends what the other side ignores to one that has closed its direction, since only the answer tells whether it has closed both.
    /// </param>
    public void CheckPeer(Func<Errno> probe)
    {
        PollEvents found = Poll.Wait(Number, PollEvents.PeerClosed, Deadline.Passed);
        if (found is not PollEvents.None)
        {
            Errno error = probe();
            if (error is not (Errno.None or Errno.EAGAIN or Errno.EINTR))
            {
                FailFor(error, "write");
            }
            else if ((found & (PollEvents.HangUp | PollEvents.Error)) != 0)
            {
                Fail(ConnectionLoss.Disconnected, DescribeDisconnection());
            }
        }

        FailIfSilent();
    }

    /// <summary>Waits for a time.</summary>
    /// <exception cref="ConnectionLostException">The descriptor is errored.</exception>
    public void Pause(TimeSpan time)
    {
        _ = _wake.Wait(Deadline.After(time));
        ThrowIfLost();
    }

    /// <summary>Closes the descriptor, before <see cref="Dispose"/> and so that the other side sees the end. Nobody may read or write any more.</summary>
    public void Close()
    {
        if (!_closed)
        {
            _closed = true;
            _ = Descriptor.SetFlags(Number, _flags);
            _owner.Dispose();
        }
    }

    /// <summary>Frees everything. The threads that read and write must be out of it.</summary>
    public void Dispose()
    {
        Fail(ConnectionLoss.Shutdown, $"the connection with {Peer} is closed");
        _wake.Dispose();
        Close();
    }

    /// <summary>What to throw when the other side has closed.</summary>
    public ConnectionLostException Disconnected() => new(ConnectionLoss.Disconnected, DescribeDisconnection(), Stopwatch.GetTimestamp());

    private void FailIfSilent()
    {
        if (Vigil is { IsPeerGone: true } vigil)
        {
            Fail(ConnectionLoss.Unreachable, $"{Peer} does not answer: it has acknowledged nothing for {vigil.Patience.TotalSeconds:0.#} s");
        }
    }

    private string DescribeDisconnection() => Disconnection?.Invoke() ?? $"{Peer} disconnected";
}
