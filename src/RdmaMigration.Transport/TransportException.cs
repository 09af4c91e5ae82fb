using System.Globalization;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>The base of what a channel throws. The message names the step, the peer, and where there is one the value and its bound.</summary>
internal class TransportException : MigrationException
{
    /// <summary>Creates the exception.</summary>
    public TransportException(FailureReason reason, string message, Exception? inner = null) : base(reason, message, inner) { }
}

/// <summary>An endpoint could not be set up: a name that does not resolve, an address in use, no such device.</summary>
internal sealed class ConnectFailedException : TransportException
{
    /// <summary>Creates the exception: the endpoint cannot be reached or opened.</summary>
    public ConnectFailedException(string message, Exception? inner = null) : base(FailureReason.Unreachable, message, inner) { }

    /// <summary>Creates the exception for another reason.</summary>
    public ConnectFailedException(FailureReason reason, string message, Exception? inner = null) : base(reason, message, inner) { }

    /// <summary>The peer refused and said why; the message has that.</summary>
    public bool HasPeersReason { get; init; }
}

/// <summary>The peer sent what the protocol does not allow.</summary>
internal sealed class ControlProtocolException : TransportException
{
    /// <summary>Creates the exception.</summary>
    public ControlProtocolException(string message) : base(FailureReason.Protocol, message) { }
}

/// <summary>The peer lives and sent nothing in time at a step where it owes a message.</summary>
internal sealed class PeerSilentException : TransportException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="step">The message that is awaited.</param>
    /// <param name="role">What the peer is: source or destination.</param>
    /// <param name="peer">Its address.</param>
    /// <param name="bound">The longest wait.</param>
    /// <param name="advice">What to do.</param>
    public PeerSilentException(string step, string role, string peer, TimeSpan bound, string advice)
        : base(
            FailureReason.Timeout,
            string.Create(CultureInfo.InvariantCulture, $"{step}: the {role} {peer} did not send this message within {bound.TotalSeconds:0.#} s; {advice}"))
    {
        Step = step;
        Peer = peer;
        Bound = bound;
    }

    /// <summary>The message that is awaited.</summary>
    public string Step { get; }

    /// <summary>The peer's address.</summary>
    public string Peer { get; }

    /// <summary>The longest wait.</summary>
    public TimeSpan Bound { get; }
}

/// <summary>This host could not register memory with the device, for lack of locked memory or of the device's resources.</summary>
internal sealed class RegistrationException : TransportException
{
    /// <summary>Creates the exception.</summary>
    public RegistrationException(string message, Exception? inner = null) : base(FailureReason.Memory, message, inner) { }
}

/// <summary>Why a connection is errored.</summary>
internal enum ConnectionLoss
{
    /// <summary>The connection manager said DISCONNECTED: the peer closed, or its process ended.</summary>
    Disconnected,

    /// <summary>
    /// The peer's device refuses access to memory that the peer had registered for us: its process has ended. The kernel takes a process's memory regions
    /// from the device before it says DISCONNECTED, so writes under way meet this first.
    /// </summary>
    MemoryWithdrawn,

    /// <summary>The peer sent an ERROR control message.</summary>
    PeerError,

    /// <summary>The device went away.</summary>
    DeviceRemoval,

    /// <summary>The port of the device lost its link, or failed otherwise.</summary>
    PortError,

    /// <summary>The transport gave up: nothing on the other side answers.</summary>
    Unreachable,

    /// <summary>A work completion or the connection manager reported a failure of another kind.</summary>
    TransportError,

    /// <summary>This side shut the channel down: cancel, yank, or teardown.</summary>
    Shutdown,
}

/// <summary>The connection is errored. The first reason is the one that stays.</summary>
internal sealed class ConnectionLostException : TransportException
{
    /// <summary>Creates the exception.</summary>
    public ConnectionLostException(ConnectionLoss loss, string message, long detectedAt) : base(ReasonOf(loss), message)
    {
        Loss = loss;
        DetectedAt = detectedAt;
    }

    /// <summary>Why.</summary>
    public ConnectionLoss Loss { get; }

    /// <summary>When the completion waiter saw it, as a <see cref="System.Diagnostics.Stopwatch"/> timestamp.</summary>
    public long DetectedAt { get; }

    private static FailureReason ReasonOf(ConnectionLoss loss) => loss switch
    {
        ConnectionLoss.Disconnected or ConnectionLoss.MemoryWithdrawn or ConnectionLoss.PeerError => FailureReason.Disconnected,
        ConnectionLoss.Shutdown => FailureReason.Cancelled,
        _ => FailureReason.Unreachable,
    };
}
