using Microsoft.Extensions.Logging;

namespace RdmaMigration.Transport;

/// <summary>What every listener logs of its peers.</summary>
internal static partial class ListenerLog
{
    [LoggerMessage(1, LogLevel.Warning, "rejected {Peer}: {Reason}")]
    public static partial void Rejected(ILogger log, string peer, string reason);

    [LoggerMessage(2, LogLevel.Warning, "the connection from {Peer} was not established: {Reason}")]
    public static partial void NotEstablished(ILogger log, string peer, string reason);

    [LoggerMessage(3, LogLevel.Debug, "ignored {Event}, status {Status}")]
    public static partial void EventIgnored(ILogger log, string @event, int status);

    [LoggerMessage(4, LogLevel.Error, "the listener failed to handle a request and continues")]
    public static partial void Fault(ILogger log, Exception fault);

    [LoggerMessage(5, LogLevel.Warning, "{What}")]
    public static partial void LeftBehind(ILogger log, string what);

    [LoggerMessage(7, LogLevel.Error, "the RDMA device of {Address} was removed; no source can connect until the device returns; retrying every second")]
    public static partial void DeviceRemoved(ILogger log, string address);

    [LoggerMessage(8, LogLevel.Warning, "listening on {Address} again")]
    public static partial void ListeningAgain(ILogger log, string address);

    [LoggerMessage(6, LogLevel.Error, "cannot listen again; retrying every second: {Reason}")]
    public static partial void NotListening(ILogger log, string reason);
}
