using System.Diagnostics.Metrics;
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
internal abstract class MigrationHost
{
    /// <summary>What <see cref="Run"/> returns after SIGINT or SIGTERM.</summary>
    public const int Cancelled = 130;

    private readonly LogLevel _logLevel;
    private readonly IMigrationObserver _observer;
    private readonly Action<ILoggingBuilder> _logging;
    private volatile ProcessEnd? _end;

    private protected MigrationHost(LogLevel logLevel, IMigrationObserver observer, Action<ILoggingBuilder>? logging)
    {
        _logLevel = logLevel;
        _observer = observer;
        _logging = logging ?? LogToStandardError;
    }

    /// <summary>What is exported of metrics and traces. Set before <see cref="Run"/>.</summary>
    public TelemetryOptions Telemetry { get; set; } = TelemetryOptions.None;

    /// <summary>Starts what the host is for, and runs the main loop on this thread until it ends. Call it once.</summary>
    /// <returns>
    /// 0 when done, also when a signal came too late to keep a migration from completing after which this ends anyway; 1 when a migration failed that was the
    /// only one, 130 after a signal.
    /// </returns>
    /// <exception cref="OptionsValidationException">The options contradict themselves.</exception>
    /// <exception cref="IOException">It cannot begin; a host that listens throws what kept it from that, also from serving metrics.</exception>
    public int Run()
    {
        using IHost host = Build();
        MainLoop loop = host.Services.GetRequiredService<MainLoop>();
        MachineProcess process = host.Services.GetRequiredService<MachineProcess>();
        ProcessEnd end = host.Services.GetRequiredService<ProcessEnd>();
        _end = end;
        ILoggerFactory logs = host.Services.GetRequiredService<ILoggerFactory>();
        ILogger log = logs.CreateLogger(GetType());
        using TelemetryExport? exports = TelemetryExport.Open(Telemetry, MachineName, process.Query, AddInstruments, logs);
        SystemdReports systemd = new(
            host.Services.GetRequiredService<ISystemdNotifier>(), process, loop, SystemdReports.WatchdogOfEnvironment(), log);

        bool isDone = false;
        process.StatusChanged += info =>
        {
            _observer.OnStatusChanged(info);
            if (ExitCodeAfter(info) is { } exitCode)
            {
                isDone |= exitCode == 0;
                end.Quit(exitCode);
            }
        };

        host.Start();
        Task started = Start(process, loop, log);
        _observer.OnStarted(process);
        systemd.Ready();

        loop.Run();
        systemd.Stopping();
        if (end.Code is null && started.IsFaulted)
        {
            started.GetAwaiter().GetResult();
        }

        int code = end.Code ?? (process.Query().Status is MigrationStatus.Failed or MigrationStatus.Cancelled ? 1 : 0);
        code = Stop(isDone && code == Cancelled ? 0 : code);

        ServiceLog.Ended(log, code);
        host.StopAsync().GetAwaiter().GetResult();
        return code;
    }

    /// <summary>Cancels what runs, and ends <see cref="Run"/> with the code; the first code stays. Any thread, while it runs.</summary>
    public void Quit(int exitCode) =>
        (_end ?? throw new InvalidOperationException("the host does not run")).Quit(exitCode);

    /// <summary>Sets the least important level that is logged; of the metrics endpoint only warnings are.</summary>
    internal static void LogFrom(ILoggingBuilder logging, LogLevel level) =>
        logging.SetMinimumLevel(level).AddFilter("Microsoft.AspNetCore", LogLevel.Warning);

    /// <summary>Logs to stderr, in systemd's format when systemd started the process.</summary>
    internal static void LogToStandardError(ILoggingBuilder logging)
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

    /// <summary>What is wrong with the options; empty if nothing.</summary>
    private protected abstract IReadOnlyList<string> CheckOptions();

    /// <summary>The machine's name; null when it has none.</summary>
    private protected virtual string? MachineName => null;

    /// <summary>Adds the instruments of this kind of host. Its callbacks run on any thread.</summary>
    private protected virtual void AddInstruments(Meter meter)
    {
    }

    /// <summary>Begins what the host is for. Main thread, before the loop runs.</summary>
    private protected abstract Task Start(MachineProcess process, MainLoop loop, ILogger log);

    /// <summary>Ends what <see cref="Start"/> began, after the main loop. Returns the exit code.</summary>
    private protected virtual int Stop(int code) => code;

    /// <summary>The code with which the process ends after this transition; null to go on.</summary>
    private protected abstract int? ExitCodeAfter(MigrationInfo info);

    private IHost Build()
    {
        if (CheckOptions() is { Count: > 0 } failures)
        {
            throw new OptionsValidationException(GetType().Name, GetType(), failures);
        }

        // No configuration files or environment here: the options of the host are the configuration.
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        LogFrom(builder.Logging, _logLevel);
        _logging(builder.Logging);
        builder.Services
            .AddSingleton(_observer)
            .AddSingleton<MainLoop>()
            .AddSingleton<MachineProcess>()
            .AddSingleton<ProcessEnd>()
            .AddSingleton<ISystemdNotifier, SystemdNotifier>()
            .AddSingleton<IHostLifetime, SignalLifetime>();
        return builder.Build();
    }
}
