using Microsoft.Extensions.Logging;

namespace RdmaMigration.Transport;

/// <summary>What happens at a listening socket beside migrations.</summary>
internal static partial class SocketListenerLog
{
    [LoggerMessage(11, LogLevel.Information, "{Peer} disconnected after {Bytes} bytes without starting a migration")]
    public static partial void Gone(ILogger log, string peer, int bytes);

    [LoggerMessage(12, LogLevel.Information, "closed the connection from {Peer}: it started no migration stream within {Seconds} s")]
    public static partial void Silent(ILogger log, string peer, double seconds);

    [LoggerMessage(13, LogLevel.Information, "closed the idle connection from {Peer} to make room for another connection")]
    public static partial void Displaced(ILogger log, string peer);

    [LoggerMessage(15, LogLevel.Information, "closed the idle connection from {Peer}: the destination stops listening")]
    public static partial void Stopped(ILogger log, string peer);

    [LoggerMessage(14, LogLevel.Error, "cannot accept connections on {Uri}; retrying every second: {Reason}")]
    public static partial void NotAccepting(ILogger log, string uri, string reason);
}
