using Microsoft.Extensions.Logging;

namespace RdmaMigration.Qmp;

/// <summary>The log messages of the QMP server.</summary>
internal static partial class QmpLog
{
    [LoggerMessage(1, LogLevel.Information, "QMP client {Peer} connected")]
    public static partial void Connected(ILogger log, string peer);

    [LoggerMessage(2, LogLevel.Information, "QMP client {Peer} disconnected")]
    public static partial void Disconnected(ILogger log, string peer);

    [LoggerMessage(3, LogLevel.Warning, "disconnected QMP client {Peer}: it does not read; {Bytes} bytes wait for it, at most {Bound} may")]
    public static partial void NotReading(ILogger log, string peer, long bytes, long bound);

    [LoggerMessage(4, LogLevel.Warning, "disconnected QMP client {Peer}: {Reason}")]
    public static partial void LimitExceeded(ILogger log, string peer, string reason);

    [LoggerMessage(5, LogLevel.Warning, "refused QMP client {Peer}: {Reason}")]
    public static partial void Refused(ILogger log, string peer, string reason);

    [LoggerMessage(6, LogLevel.Error, "the command {Command} of QMP client {Peer} failed because of a defect")]
    public static partial void CommandDefect(ILogger log, string command, string peer, Exception defect);

    [LoggerMessage(7, LogLevel.Error, "the session of QMP client {Peer} failed because of a defect")]
    public static partial void SessionDefect(ILogger log, string peer, Exception defect);

    [LoggerMessage(8, LogLevel.Error, "cannot accept QMP clients on {Address}; retrying every second: {Reason}")]
    public static partial void NotAccepting(ILogger log, string address, string reason);

    [LoggerMessage(9, LogLevel.Information, "listening for QMP clients on {Address}")]
    public static partial void Listening(ILogger log, string address);
}
