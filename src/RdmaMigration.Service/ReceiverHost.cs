using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>The host around a receiving engine.</summary>
internal sealed class ReceiverHost : MigrationHost
{
    private readonly IncomingOptions _incoming;

    /// <summary>Prepares; nothing listens before <see cref="MigrationHost.Run"/>.</summary>
    /// <param name="incoming">Where to listen, and where machines go.</param>
    /// <param name="observer">Gets reports.</param>
    /// <param name="untilCompleted">
    /// Ends with 0 after the first migration that completes; failed ones before it do not count. Null: true for a target of one file, which the next capture
    /// would replace, and for another host, which waits for one machine; false for a directory.
    /// </param>
    /// <param name="logLevel">The least important level that is logged.</param>
    /// <param name="logging">Where logs go; null for stderr, in systemd's format when systemd started the process.</param>
    public ReceiverHost(
        IncomingOptions incoming,
        IMigrationObserver observer,
        bool? untilCompleted = null,
        LogLevel logLevel = LogLevel.Warning,
        Action<ILoggingBuilder>? logging = null)
        : base(logLevel, observer, logging) =>
        _incoming = incoming with { UntilCompleted = untilCompleted ?? incoming.Target is not CaptureTarget { File: null } };

    private protected override IReadOnlyList<string> CheckOptions() =>
        [.. OptionChecks.Incoming(_incoming), .. _incoming.Target is RelayTarget relay ? OptionChecks.Outgoing(relay.Outgoing) : []];

    private protected override Task Start(MachineProcess process, MainLoop loop, ILogger log)
    {
        process.Listen(_incoming);
        ServiceLog.Listening(log, process.Uri);
        return Task.CompletedTask;
    }

    private protected override int? ExitCodeAfter(MigrationInfo info) => info.Status switch
    {
        MigrationStatus.Completed when _incoming.UntilCompleted || _incoming.Once => 0,
        MigrationStatus.Failed or MigrationStatus.Cancelled when _incoming.Once => 1,
        _ => null,
    };
}
