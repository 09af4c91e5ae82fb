using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>A process with one machine and a QMP monitor, as a QEMU is.</summary>
internal sealed class ServeHost : MigrationHost
{
    private readonly ServeOptions _options;
    private readonly PassedDescriptors _descriptors = new();
    private ServedMachine? _machine;
    private MigrationCommands? _commands;
    private QmpMonitor? _monitor;
    private QmpListener? _listener;
    private bool _isShutDown;

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

    private protected override void AddInstruments(Meter meter) => meter.CreateObservableGauge(
        "rdmamig_monitor_clients", () => Volatile.Read(ref _monitor)?.Clients ?? 0, description: "Clients that are connected to the QMP monitor.");

    private protected override Task Start(MachineProcess process, MainLoop loop, ILogger log)
    {
        ServedMachine machine = _machine = new ServedMachine(process, _options.IsPaused);
        MigrationCommands commands = _commands = new MigrationCommands(process, machine, _descriptors, _options, Announce, OnQuit);
        QmpCommand[] rows =
        [
            .. commands.Rows,
            .. new DescriptorCommands(_descriptors).Rows,
            .. new YankCommands(process).Rows,
            .. new AbsentFeatures(_options.Profile).Rows,
            new HumanMonitor(process, commands, _options.Profile).Row,
        ];
        QmpMonitor monitor = new(
            loop, writer => _options.Profile.WriteVersion(writer, _options.Package), WithDevices(rows), commands.Types.Events, log);
        Volatile.Write(ref _monitor, monitor);
        machine.Changed += name => monitor.Broadcast(name);

        // The end is reported when nothing is left of the migration, so that a command that follows it finds the process idle.
        process.Ended += _ => _descriptors.EndUse();
        process.Ended += Report;
        if (_options.Incoming is { } incoming)
        {
            if (incoming.Uri is { } uri)
            {
                commands.Listen(uri);
            }
            else
            {
                machine.Await();
            }
        }

        _listener = QmpListener.Open(_options.Monitor, monitor, log);
        ServiceLog.Listening(log, process.Uri);
        return Task.CompletedTask;
    }

    private protected override int? ExitCodeAfter(MigrationInfo info)
    {
        if (!info.Status.IsFinal())
        {
            Report(info);
        }

        return info is { IsOutgoing: false, Status: MigrationStatus.Failed or MigrationStatus.Cancelled } && _commands!.ExitsOnError ? 1 : null;
    }

    private void Report(MigrationInfo info)
    {
        if (info is { Status: MigrationStatus.Failed, IsOutgoing: true })
        {
            // The machine goes on behind this event.
            Announce(_options.Profile.HasFailing ? "failing" : "failed");
            _machine!.Follow(info);
            if (_options.Profile.HasFailing)
            {
                Announce("failed");
            }

            return;
        }

        // The event of a change comes before the migration's.
        _machine!.Follow(info);

        // A destination's setup is announced when it begins to listen.
        bool isAnnounced = info is { IsOutgoing: false, Status: MigrationStatus.Setup };
        if (!isAnnounced && _commands!.Shown(info).Status == info.Status)
        {
            Announce(info.Status.ToQmp());
        }
    }

    private protected override int Stop(int code)
    {
        // QEMU ends with 0 after a signal.
        bool isSignal = code == Cancelled;
        if (isSignal)
        {
            AnnounceShutdown("host-signal");
        }

        _listener!.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _descriptors.CloseAll();
        return isSignal ? 0 : code;
    }

    /// <summary>The service's own commands, those of the device model that it has not itself, and answers for a machine without a device model.</summary>
    private IEnumerable<QmpCommand> WithDevices(IReadOnlyList<QmpCommand> own)
    {
        IEnumerable<QmpCommand> ofDevices = _options.DeviceModel?.Commands ?? [];
        QmpCommand[] known =
        [
            .. own,
            .. ofDevices
                .ExceptBy(own.Select(command => command.Name).Concat(QmpMonitor.OwnCommands), command => command.Name)
                .Select(command => DeviceCommands.IsBeforeArrival(command.Name) ? UntilArrival(command) : command),
        ];
        return known.Concat(new MachineQueries(_options.Profile).Rows.ExceptBy(known.Select(command => command.Name), command => command.Name));
    }

    private QmpCommand UntilArrival(QmpCommand command) => QmpCommand.Waiting(command.Name, (arguments, end) => _machine!.State is RunState.InMigrate
        ? command.Prepare!(arguments, end)
        : throw new QmpException($"{command.Name}: the machine does not run here, and its devices cannot be changed")) with
    {
        Arguments = command.Arguments,
        Returns = command.Returns,
    };

    private void OnQuit()
    {
        AnnounceShutdown("host-qmp-quit");
        Quit(0);
    }

    private void Announce(string status)
    {
        if (_commands!.Capabilities.Events)
        {
            _monitor!.Broadcast("MIGRATION", writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("status", status);
                writer.WriteEndObject();
            });
        }
    }

    /// <summary>Once: the first reason stays.</summary>
    private void AnnounceShutdown(string reason)
    {
        if (_isShutDown)
        {
            return;
        }

        _isShutDown = true;
        _monitor!.Broadcast("SHUTDOWN", writer =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("guest", false);
            writer.WriteString("reason", reason);
            writer.WriteEndObject();
        });
    }
}
