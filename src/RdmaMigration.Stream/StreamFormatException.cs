using RdmaMigration.Linux;

namespace RdmaMigration.Streams;

/// <summary>What is wrong with a stream.</summary>
internal enum StreamFault
{
    /// <summary>Bytes that no QEMU sends: a wrong magic, an unknown marker, a length out of bounds.</summary>
    Malformed,

    /// <summary>The source ended in the middle.</summary>
    Truncated,

    /// <summary>The stream is over, and pages of guest memory have not come: the source sends them over other connections.</summary>
    Incomplete,

    /// <summary>Correct, but something that is not loaded here: postcopy, multifd, mapped-ram.</summary>
    Unsupported,

    /// <summary>
    /// More device state than <see cref="IncomingStreamOptions.MaxDeviceState"/> allows, or more scattered pages than
    /// <see cref="IncomingStreamOptions.MaxPageRecord"/>.
    /// </summary>
    TooLarge,

    /// <summary>
    /// Correct, but a device of this machine does not take it: unknown to it, another version, a value that it refuses, a post_load that fails.
    /// </summary>
    Refused,

    /// <summary>RAM is complete and is not what the source has, by the digests that it sent.</summary>
    Corrupt,
}

/// <summary>A migration stream cannot be read. The message names the step, what was found, the bound, and the offset.</summary>
internal sealed class StreamFormatException : MigrationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="fault">What is wrong.</param>
    /// <param name="step">What was being read.</param>
    /// <param name="offset">Offset in the stream, in bytes from its first.</param>
    /// <param name="detail">The value found and the bound.</param>
    public StreamFormatException(StreamFault fault, string step, ulong offset, string detail)
        : this(fault, step, offset, detail, null)
    {
    }

    /// <summary>Creates the exception with its cause.</summary>
    /// <param name="fault">What is wrong.</param>
    /// <param name="step">What was being read.</param>
    /// <param name="offset">Offset in the stream, in bytes from its first.</param>
    /// <param name="detail">The value found and the bound.</param>
    /// <param name="cause">What a decoder said, or null.</param>
    public StreamFormatException(StreamFault fault, string step, ulong offset, string detail, Exception? cause)
        : base(FailureReason.Stream, $"{step}: {detail} (stream offset 0x{offset:x})", cause)
    {
        Fault = fault;
        Step = step;
        Offset = offset;
    }

    /// <summary>What is wrong.</summary>
    public StreamFault Fault { get; }

    /// <summary>What was being read.</summary>
    public string Step { get; }

    /// <summary>Offset in the stream, in bytes from its first.</summary>
    public ulong Offset { get; }
}
