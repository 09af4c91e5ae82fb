using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>
/// The host around a receiving engine: logging, signals, systemd. One process receives for one host object; the engine's main loop runs on the thread that
/// calls <see cref="Run"/>.
/// </summary>
public sealed class ReceiverHost
{
    /// <summary>What <see cref="Run"/> returns after SIGINT or SIGTERM.</summary>
    public const int Cancelled = 130;

    private readonly ReceiverOptions _options;
    private readonly IReceiverObserver _observer;
    private readonly Action<ILoggingBuilder> _logging;

    /// <summary>Prepares; nothing listens before <see cref="Run"/>.</summary>
    /// <param name="options">What to do.</param>
    /// <param name="observer">Who is told.</param>
    /// <param name="logging">Where logs go; null for stderr, in systemd's format when systemd started the process.</param>
    public ReceiverHost(ReceiverOptions options, IReceiverObserver observer, Action<ILoggingBuilder>? logging = null)
    {
        _options = options;
        _observer = observer;
        _logging = logging ?? LogToStandardError;
    }

    /// <summary>Listens, and runs the main loop on this thread until it ends. Call it once.</summary>
    /// <returns>0 when done, 1 when a migration failed that was the only one, 130 after a signal.</returns>
    /// <exception cref="OptionsValidationException">The options contradict themselves.</exception>
    /// <exception cref="TransportException">It cannot listen there.</exception>
    public int Run()
    {
        using IHost host = Build();
        var loop = host.Services.GetRequiredService<MainLoop>();
        var migration = host.Services.GetRequiredService<IncomingMigration>();
        var systemd = host.Services.GetRequiredService<ISystemdNotifier>();
        var log = host.Services.GetRequiredService<ILogger<ReceiverHost>>();

        bool untilCompleted = _options.UntilCompleted ?? _options.Incoming.Target.File is not null;
        migration.StatusChanged += info =>
        {
            _observer.OnStatusChanged(info);
            if (untilCompleted && info.Status is MigrationStatus.Completed)
            {
                migration.Quit(0);
            }
        };

        host.Start();
        migration.Start();
        ServiceLog.Listening(log, migration.Uri);
        _observer.OnListening(migration);
        systemd.Notify(ServiceState.Ready);

        int exitCode = loop.Run();

        ServiceLog.Ended(log, exitCode);
        systemd.Notify(ServiceState.Stopping);
        host.StopAsync().GetAwaiter().GetResult();
        return exitCode;
    }

    private IHost Build()
    {
        ValidateOptionsResult valid = new ReceiverOptionsValidator().Validate(null, _options);
        if (valid.Failed)
        {
            throw new OptionsValidationException(nameof(ReceiverOptions), typeof(ReceiverOptions), valid.Failures);
        }

        // No configuration files or environment: the command line is the configuration.
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.SetMinimumLevel(_options.LogLevel);
        _logging(builder.Logging);
        builder.Services
            .AddSingleton(_observer)
            .AddSingleton(_options.Incoming)
            .AddSingleton<MainLoop>()
            .AddSingleton<IncomingMigration>()
            .AddSingleton<ISystemdNotifier, SystemdNotifier>()
            .AddSingleton<IHostLifetime, SignalLifetime>();
        return builder.Build();
    }

    private static void LogToStandardError(ILoggingBuilder logging)
    {
        if (SystemdHelpers.IsSystemdService())
        {
            logging.AddSystemdConsole();
        }
        else
        {
            logging.AddSimpleConsole(options => options.SingleLine = true);
        }

        logging.Services.Configure<ConsoleLoggerOptions>(options => options.LogToStandardErrorThreshold = LogLevel.Trace);
    }
}
