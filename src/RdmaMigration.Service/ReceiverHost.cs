using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>The host around a receiving engine.</summary>
public sealed class ReceiverHost : MigrationHost
{
    private readonly IncomingOptions _incoming;

    /// <summary>Prepares; nothing listens before <see cref="MigrationHost.Run"/>.</summary>
    /// <param name="incoming">Where to listen, and where machines go.</param>
    /// <param name="observer">Gets reports.</param>
    /// <param name="untilCompleted">
    /// Ends with 0 after the first migration that completes; failed ones before it do not count. Null: true for a target of one file, which the next capture would
    /// replace, and for another host, which waits for one machine; false for a directory.
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

    private protected override void AddMigration(IServiceCollection services) => services
        .AddSingleton(_incoming)
        .AddSingleton<Migration, IncomingMigration>();

    private protected override void Start(Migration migration, ILogger log)
    {
        IncomingMigration incoming = (IncomingMigration)migration;
        incoming.Start();
        ServiceLog.Listening(log, incoming.Uri);
    }

    private protected override int? ExitCodeAfter(MigrationInfo info) => _incoming.UntilCompleted && info.Status is MigrationStatus.Completed ? 0 : null;
}
