namespace RdmaMigration.Linux;

/// <summary>The kind of a failure, for programs; people read the message. Whoever throws chooses it.</summary>
public enum FailureReason
{
    /// <summary>The other side went away.</summary>
    Disconnected,

    /// <summary>The other side's host does not answer, nobody listens there, or the destination cannot be opened.</summary>
    Unreachable,

    /// <summary>The destination said that it failed.</summary>
    Refused,

    /// <summary>The other side broke the RDMA control protocol, or that of the return path.</summary>
    Protocol,

    /// <summary>The migration stream, or the file that it is read from, cannot be read.</summary>
    Stream,

    /// <summary>RAM cannot be allocated or registered, or is more than allowed.</summary>
    Memory,

    /// <summary>The capture's file cannot be written, or not be read.</summary>
    Storage,

    /// <summary>It took too long.</summary>
    Timeout,

    /// <summary>This side does not do what was asked: it could lose a machine.</summary>
    Policy,

    /// <summary>Somebody here cancelled it.</summary>
    Cancelled,

    /// <summary>A defect of this program.</summary>
    Internal,
}

/// <summary>The base of what ends a migration. The message says what happened, with step, peer, value and bound, then what to do.</summary>
public class MigrationException : IOException
{
    /// <summary>Creates the exception.</summary>
    public MigrationException(FailureReason reason, string message, Exception? inner = null)
        : base(message, inner) => Reason = reason;

    /// <summary>The kind of the failure.</summary>
    public FailureReason Reason { get; }
}
