using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>A process with one machine and a QMP monitor, as a QEMU is.</summary>
internal sealed class ServeHost : MigrationHost
{
    private readonly ServeOptions _options;
    private ServeMonitor? _monitor;

    /// <summary>Prepares; nothing listens before <see cref="MigrationHost.Run"/>.</summary>
    /// <param name="options">What it is started with.</param>
    /// <param name="observer">Gets reports.</param>
    /// <param name="logLevel">The least important level that is logged.</param>
    /// <param name="logging">Where logs go; null for stderr, in systemd's format when systemd started the process.</param>
    public ServeHost(ServeOptions options, IMigrationObserver observer, LogLevel logLevel = LogLevel.Warning, Action<ILoggingBuilder>? logging = null)
        : base(logLevel, observer, logging) =>
        _options = options;

    private protected override IReadOnlyList<string> CheckOptions() =>
        _options.Incoming?.Uri is { } uri ? [.. OptionChecks.Arrival(_options.Parameters, uri)] : [];

    private protected override string? MachineName => _options.Name;

    private protected override void AddInstruments(Meter meter) => ServeMonitor.AddClients(meter, () => Volatile.Read(ref _monitor)?.Clients ?? 0);

    private protected override Task Start(MachineProcess process, MainLoop loop, ILogger log)
    {
        ServeMonitor monitor = new(process, loop, new MonitoredKeptMachine(process), _options, log);
        Volatile.Write(ref _monitor, monitor);
        monitor.Ending += Quit;
        monitor.Open();
        ServiceLog.Listening(log, process.Uri);
        return Task.CompletedTask;
    }

    /// <summary>The monitor decides.</summary>
    private protected override int? ExitCodeAfter(MigrationInfo info) => null;

    private protected override int Stop(int code)
    {
        // QEMU ends with 0 after a signal.
        bool isSignal = code == Cancelled;
        if (isSignal)
        {
            _monitor!.AnnounceShutdown("host-signal");
        }

        _monitor!.CloseAsync().GetAwaiter().GetResult();
        return isSignal ? 0 : code;
    }
}
