using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>The host around a sending engine: sends one capture, and ends with it.</summary>
public sealed class SenderHost : MigrationHost
{
    private readonly SenderOptions _options;

    /// <summary>Prepares; nothing is read before <see cref="MigrationHost.Run"/>.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="observer">Who is told.</param>
    /// <param name="logging">Where logs go; null for stderr, in systemd's format when systemd started the process.</param>
    public SenderHost(SenderOptions options, IMigrationObserver observer, Action<ILoggingBuilder>? logging = null)
        : base(options.LogLevel, observer, logging) => _options = options;

    private protected override IReadOnlyList<string> CheckOptions() => _options.Check();

    private protected override void AddMigration(IServiceCollection services) => services.AddSingleton<Migration, OutgoingMigration>();

    private protected override void Start(Migration migration, ILogger log) => ((OutgoingMigration)migration).Start(_options.File, _options.Outgoing);

    private protected override int? ExitCodeAfter(MigrationInfo info) => info.Status switch
    {
        MigrationStatus.Completed => 0,
        MigrationStatus.Failed => 1,
        MigrationStatus.Cancelled => Cancelled,
        _ => null,
    };
}
