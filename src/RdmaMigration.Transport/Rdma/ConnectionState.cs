using System.Diagnostics;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// Whether a connection is alive, and how its thread learns that something happened. The lanes, the completion waiter and the channel share it; any thread may
/// <see cref="Fail"/> it. A connection fails once and for good: the first reason stays.
/// </summary>
internal sealed class ConnectionState : IDisposable
{
    private ConnectionState? _partner;
    private ConnectionLostException? _lost;
    private long _lastActivity;
    private long _progress;

    /// <param name="peer">The peer's address, for messages.</param>
    /// <param name="deviceName">The device under the connection, as <c>ibv_devices</c> names it.</param>
    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public ConnectionState(string peer, string deviceName)
    {
        Peer = peer;
        DeviceName = deviceName;
    }

    public string Peer { get; }

    public string DeviceName { get; }

    /// <summary>Where the connection's thread parks.</summary>
    public Parking Parking { get; } = new();

    /// <summary>Why the connection failed; null while it has not.</summary>
    public ConnectionLostException? Lost => Volatile.Read(ref _lost);

    /// <summary>Changes whenever writes of any lane complete.</summary>
    public long Progress => Volatile.Read(ref _progress);

    /// <summary>The time since the peer's device last answered.</summary>
    public TimeSpan Idle => TimeSpan.FromMilliseconds(Environment.TickCount64 - Volatile.Read(ref _lastActivity));

    /// <summary>Marks the connection and its partner failed and wakes the parked thread. Any thread; false when it had failed before.</summary>
    public bool Fail(ConnectionLoss loss, string message)
    {
        ConnectionLostException reason = new(loss, message, Stopwatch.GetTimestamp());
        if (Interlocked.CompareExchange(ref _lost, reason, null) is not null)
        {
            return false;
        }

        Parking.Set();
        Volatile.Read(ref _partner)?.Fail(loss, message);
        return true;
    }

    /// <summary>The device refuses a call that involves no peer: it was removed, or a completion queue overflowed.</summary>
    public void FailByDevice(VerbsException gone) =>
        Fail(ConnectionLoss.DeviceRemoval, $"the device {DeviceName} under the connection with {Peer}: {gone.Message}");

    /// <summary>Fails the connection for a completion that is no success.</summary>
    public void FailBy(in WorkCompletion completion, string what)
    {
        (ConnectionLoss loss, string message) = completion.Status switch
        {
            WorkCompletionStatus.TransportRetryExceeded => (
                ConnectionLoss.Unreachable,
                $"{Peer} does not answer: the transport's retries are exhausted ({completion.Status}); the host is unreachable or its process was killed"),
            WorkCompletionStatus.RemoteAccessError => (
                ConnectionLoss.MemoryWithdrawn,
                $"the device of {Peer} rejected an access to registered memory ({completion.Status}); the process there has probably exited"),
            WorkCompletionStatus.LocalQueuePairOperationError => (
                ConnectionLoss.TransportError,
                $"the connection with {Peer}: a {what} ended with {completion.Status}; check that the link of the device {DeviceName} is up"),
            _ => (ConnectionLoss.TransportError, $"the connection with {Peer}: a {what} ended with {completion.Status}"),
        };
        Fail(loss, message);
    }

    /// <summary>Joins the two connections of one migration: when one fails the other does, also when it has failed already. Any thread; once.</summary>
    public void Join(ConnectionState partner)
    {
        // A thread that fails one of them either finds the partner or is found below: the exchange keeps the two looks in order.
        Interlocked.Exchange(ref _partner, partner);
        Interlocked.Exchange(ref partner._partner, this);
        FailWith(partner);
        partner.FailWith(this);
    }

    /// <exception cref="ConnectionLostException">The connection has failed.</exception>
    public void ThrowIfLost()
    {
        if (Lost is { } lost)
        {
            throw new ConnectionLostException(lost.Loss, lost.Message, lost.DetectedAt);
        }
    }

    /// <summary>The peer's device answered. Uses the coarse clock: called for every message, and keepalive does not need millisecond precision.</summary>
    public void Touch() => Volatile.Write(ref _lastActivity, Environment.TickCount64);

    /// <summary>Writes of a lane completed.</summary>
    public void CountProgress() => Interlocked.Increment(ref _progress);

    /// <inheritdoc/>
    public void Dispose() => Parking.Dispose();

    private void FailWith(ConnectionState partner)
    {
        if (partner.Lost is { } lost)
        {
            Fail(lost.Loss, lost.Message);
        }
    }
}
