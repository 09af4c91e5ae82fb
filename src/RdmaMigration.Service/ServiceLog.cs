using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>What the service logs.</summary>
internal static partial class ServiceLog
{
    [LoggerMessage(1, LogLevel.Information, "listening on {Uri}")]
    public static partial void Listening(ILogger log, MigrationUri? uri);

    [LoggerMessage(2, LogLevel.Information, "{Signal}: cancelling the migration, then exiting")]
    public static partial void Signalled(ILogger log, PosixSignal signal);

    [LoggerMessage(3, LogLevel.Information, "the main loop ended with exit code {ExitCode}")]
    public static partial void Ended(ILogger log, int exitCode);

    [LoggerMessage(4, LogLevel.Warning, "systemd was not notified of '{State}': {Reason}")]
    public static partial void NotNotified(ILogger log, string state, string reason);

    [LoggerMessage(5, LogLevel.Information, "metrics at {Address}")]
    public static partial void Metrics(ILogger log, string address);
}
