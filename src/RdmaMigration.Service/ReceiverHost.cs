using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>The host around a receiving engine.</summary>
public sealed class ReceiverHost : MigrationHost
{
    private readonly ReceiverOptions _options;
    private readonly bool _untilCompleted;

    /// <summary>Prepares; nothing listens before <see cref="MigrationHost.Run"/>.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="observer">Who is told.</param>
    /// <param name="logging">Where logs go; null for stderr, in systemd's format when systemd started the process.</param>
    public ReceiverHost(ReceiverOptions options, IMigrationObserver observer, Action<ILoggingBuilder>? logging = null)
        : base(options.LogLevel, observer, logging)
    {
        _options = options;
        _untilCompleted = options.UntilCompleted ?? options.Incoming.Target is not CaptureTarget { File: null };
    }

    private protected override IReadOnlyList<string> CheckOptions() => _options.Check();

    private protected override void AddMigration(IServiceCollection services) => services
        .AddSingleton(_options.Incoming with { UntilCompleted = _untilCompleted })
        .AddSingleton<Migration, IncomingMigration>();

    private protected override void Start(Migration migration, ILogger log)
    {
        IncomingMigration incoming = (IncomingMigration)migration;
        incoming.Start();
        ServiceLog.Listening(log, incoming.Uri);
    }

    private protected override int? ExitCodeAfter(MigrationInfo info) => _untilCompleted && info.Status is MigrationStatus.Completed ? 0 : null;
}
