using Microsoft.Extensions.Logging;

namespace RdmaMigration.Transport;

/// <summary>What happens at a listening socket beside migrations.</summary>
internal static partial class SocketListenerLog
{
    [LoggerMessage(11, LogLevel.Information, "{Peer} connected and closed after {Bytes} bytes; this was no migration")]
    public static partial void Gone(ILogger log, string peer, int bytes);

    [LoggerMessage(12, LogLevel.Information, "{Peer} connected and began no migration stream within {Seconds} s; the connection is closed")]
    public static partial void Silent(ILogger log, string peer, double seconds);

    [LoggerMessage(13, LogLevel.Information, "{Peer} connected and was silent; the connection is closed, its place goes to another one")]
    public static partial void Displaced(ILogger log, string peer);

    [LoggerMessage(15, LogLevel.Information, "{Peer} connected and was silent; the connection is closed, since the destination stops listening")]
    public static partial void Stopped(ILogger log, string peer);

    [LoggerMessage(14, LogLevel.Error, "cannot accept connections at {Uri}, and tries again once a second: {Reason}")]
    public static partial void NotAccepting(ILogger log, string uri, string reason);
}
