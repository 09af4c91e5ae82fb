using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>
/// The host around the engine: logging, signals, systemd. One process runs one host object; the engine's main loop runs on the thread that calls
/// <see cref="Run"/>.
/// </summary>
public abstract class MigrationHost
{
    /// <summary>What <see cref="Run"/> returns after SIGINT or SIGTERM.</summary>
    public const int Cancelled = 130;

    private readonly LogLevel _logLevel;
    private readonly IMigrationObserver _observer;
    private readonly Action<ILoggingBuilder> _logging;

    private protected MigrationHost(LogLevel logLevel, IMigrationObserver observer, Action<ILoggingBuilder>? logging)
    {
        _logLevel = logLevel;
        _observer = observer;
        _logging = logging ?? LogToStandardError;
    }

    /// <summary>Starts what the host is for, and runs the main loop on this thread until it ends. Call it once.</summary>
    /// <returns>
    /// 0 when done, also when a signal came too late to keep a migration from completing after which this ends anyway; 1 when a migration failed that was the only one,
    /// 130 after a signal.
    /// </returns>
    /// <exception cref="OptionsValidationException">The options contradict themselves.</exception>
    /// <exception cref="IOException">It cannot begin; a host that listens throws what kept it from that.</exception>
    public int Run()
    {
        using IHost host = Build();
        MainLoop loop = host.Services.GetRequiredService<MainLoop>();
        Migration migration = host.Services.GetRequiredService<Migration>();
        ISystemdNotifier systemd = host.Services.GetRequiredService<ISystemdNotifier>();
        ILogger log = host.Services.GetRequiredService<ILoggerFactory>().CreateLogger(GetType());

        bool isDone = false;
        migration.StatusChanged += info =>
        {
            _observer.OnStatusChanged(info);
            if (ExitCodeAfter(info) is { } exitCode)
            {
                isDone |= exitCode == 0;
                migration.Quit(exitCode);
            }
        };

        host.Start();
        Start(migration, log);
        _observer.OnStarted(migration);
        systemd.Notify(ServiceState.Ready);

        int code = loop.Run();
        code = isDone && code == Cancelled ? 0 : code;

        ServiceLog.Ended(log, code);
        systemd.Notify(ServiceState.Stopping);
        host.StopAsync().GetAwaiter().GetResult();
        return code;
    }

    /// <summary>What is wrong with the options; empty if nothing.</summary>
    private protected abstract IReadOnlyList<string> CheckOptions();

    /// <summary>Adds the migration, as <see cref="Migration"/>.</summary>
    private protected abstract void AddMigration(IServiceCollection services);

    /// <summary>Has it begin. Main thread, before the loop runs.</summary>
    private protected abstract void Start(Migration migration, ILogger log);

    /// <summary>The code with which the process ends after this transition; null to go on.</summary>
    private protected abstract int? ExitCodeAfter(MigrationInfo info);

    private IHost Build()
    {
        if (CheckOptions() is { Count: > 0 } failures)
        {
            throw new OptionsValidationException(GetType().Name, GetType(), failures);
        }

        // No configuration files or environment: the command line is the configuration.
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.SetMinimumLevel(_logLevel);
        _logging(builder.Logging);
        builder.Services
            .AddSingleton(_observer)
            .AddSingleton<MainLoop>()
            .AddSingleton<ISystemdNotifier, SystemdNotifier>()
            .AddSingleton<IHostLifetime, SignalLifetime>();
        AddMigration(builder.Services);
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
