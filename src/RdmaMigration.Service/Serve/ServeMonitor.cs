using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>The QMP monitor of a process with one machine: its commands, its events in the profile's order, and its clients.</summary>
internal sealed class ServeMonitor
{
    private readonly MachineProcess _process;
    private readonly ServeOptions _options;
    private readonly ServedMachine _machine;
    private readonly PassedDescriptors _descriptors = new();
    private readonly MigrationCommands _commands;
    private readonly QmpMonitor _monitor;
    private readonly ILogger _log;
    private QmpListener? _listener;
    private bool _isShutDown;

    /// <summary>Prepares; <see cref="Open"/> begins. Main thread.</summary>
    /// <param name="process">Runs the machine's migrations.</param>
    /// <param name="loop">The process's main loop.</param>
    /// <param name="machine">The machine.</param>
    /// <param name="options">What it is started with.</param>
    /// <param name="log">The log.</param>
    public ServeMonitor(MachineProcess process, MainLoop loop, IMonitoredMachine machine, ServeOptions options, ILogger log)
    {
        _process = process;
        _options = options;
        _log = log;
        _machine = new ServedMachine(machine, options.IsPaused);
        _commands = new MigrationCommands(process, _machine, _descriptors, options, Announce, OnQuit);
        QmpCommand[] rows =
        [
            .. _commands.Rows,
            .. new DescriptorCommands(_descriptors).Rows,
            .. new YankCommands(process).Rows,
            .. new AbsentFeatures(options.Profile).Rows,
            new HumanMonitor(process, _commands, options.Profile).Row,
        ];
        _monitor = new QmpMonitor(
            loop, writer => options.Profile.WriteVersion(writer, options.Package), WithDevices(rows), _commands.Types.Events, log);
    }

    /// <summary>The process is to end with this exit code: 0 after quit, 1 after a failed arrival with exit-on-error. Main thread.</summary>
    public event Action<int>? Ending;

    /// <summary>Clients that are connected. Any thread.</summary>
    public int Clients => _monitor.Clients;

    /// <summary>Creates the gauge of a monitor's clients.</summary>
    public static void AddClients(Meter meter, Func<int> clients) =>
        meter.CreateObservableGauge("rdmamig_monitor_clients", clients, description: "Clients that are connected to the QMP monitor.");

    /// <summary>Serves clients from now on, and listens for the machine that the options ask for. Main thread.</summary>
    /// <exception cref="Linux.MigrationException">The monitor's socket cannot be opened, or no machine can be received there.</exception>
    public void Open()
    {
        _machine.Changed += OnMachineChanged;
        _machine.Follow();
        _process.StatusChanged += OnStatusChanged;
        _process.Connected += _commands.Connection.OnConnected;
        _process.PassBegan += OnPassBegan;

        // The end is reported when nothing is left of the migration, so that a command that follows it finds the process idle.
        _process.Ended += OnEnded;
        if (_options.Incoming is { } incoming)
        {
            if (incoming.Uri is { } uri)
            {
                _commands.Listen(uri);
            }
            else
            {
                _machine.Await();
            }
        }

        _listener = QmpListener.Open(_options.Monitor, _monitor, _log);
    }

    /// <summary>The program that has the machine has started or stopped it. Main thread.</summary>
    public void Follow() => _machine.Follow();

    /// <summary>Sends the event SHUTDOWN, once: the first reason stays.</summary>
    public void AnnounceShutdown(string reason)
    {
        if (_isShutDown)
        {
            return;
        }

        _isShutDown = true;
        _monitor.Broadcast("SHUTDOWN", writer =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("guest", false);
            writer.WriteString("reason", reason);
            writer.WriteEndObject();
        });
    }

    /// <summary>Disconnects the clients, after a second at most, and closes the descriptors that they have passed.</summary>
    public async Task CloseAsync()
    {
        _process.StatusChanged -= OnStatusChanged;
        _process.Connected -= _commands.Connection.OnConnected;
        _process.PassBegan -= OnPassBegan;
        _process.Ended -= OnEnded;
        if (_listener is { } listener)
        {
            await listener.DisposeAsync().ConfigureAwait(false);
        }

        _descriptors.CloseAll();
    }

    private void OnMachineChanged(string name) => _monitor.Broadcast(name);

    private void OnStatusChanged(MigrationInfo info)
    {
        if (!info.Status.IsFinal())
        {
            Report(info);
        }

        if (info is { IsOutgoing: false, Status: MigrationStatus.Failed or MigrationStatus.Cancelled } && _commands.ExitsOnError)
        {
            Ending?.Invoke(1);
        }
    }

    private void OnEnded(MigrationInfo info)
    {
        _descriptors.EndUse();
        Report(info);
        _commands.Connection.OnEnded(info);
    }

    private void Report(MigrationInfo info)
    {
        if (info is { Status: MigrationStatus.Failed, IsOutgoing: true })
        {
            // The machine goes on behind this event.
            Announce(_options.Profile.HasFailing ? "failing" : "failed");
            _machine.Follow(info);
            if (_options.Profile.HasFailing)
            {
                Announce("failed");
            }

            return;
        }

        if (info is { Status: MigrationStatus.Active, Live: not null } && _options.Profile.HasFirstPass)
        {
            AnnouncePass(1);
        }

        // The event of a change comes before the migration's.
        _machine.Follow(info);

        // A destination's setup is announced when it begins to listen.
        bool isAnnounced = info is { IsOutgoing: false, Status: MigrationStatus.Setup };
        if (!isAnnounced && _commands.Shown(info).Status == info.Status)
        {
            Announce(info.Status.ToQmp());
        }
    }

    /// <summary>The first pass is announced with the status, or not at all.</summary>
    private void OnPassBegan(int pass)
    {
        if (pass > 1)
        {
            AnnouncePass(pass);
        }
    }

    /// <summary>The service's own commands, those of the device model that it has not itself, and answers for a machine without a device model.</summary>
    private IEnumerable<QmpCommand> WithDevices(IReadOnlyList<QmpCommand> own)
    {
        Dictionary<string, QmpCommand> withoutDevices = new MachineQueries(_options.Profile).Rows.ToDictionary(command => command.Name);
        IEnumerable<QmpCommand> ofDevices = _options.DeviceModel?.Commands ?? [];
        QmpCommand[] known =
        [
            .. own,
            .. ofDevices
                .ExceptBy(own.Select(command => command.Name).Concat(QmpMonitor.OwnCommands), command => command.Name)
                .Select(command =>
                    DeviceCommands.IsBeforeArrival(command.Name) ? UntilArrival(command)
                    : withoutDevices.TryGetValue(command.Name, out QmpCommand? other) ? OrWithoutDevices(command, other)
                    : command),
        ];
        return known.Concat(withoutDevices.Values.ExceptBy(known.Select(command => command.Name), command => command.Name));
    }

    /// <summary>Answers as without devices once the device model has ended: libvirt asks for the disks before it migrates a machine away.</summary>
    private QmpCommand OrWithoutDevices(QmpCommand command, QmpCommand other) => QmpCommand.Waiting(command.Name, async (arguments, end) =>
    {
        try
        {
            return await command.Prepare!(arguments, end).ConfigureAwait(false);
        }
        catch (QmpException) when (_options.DeviceModel!.HasEnded)
        {
            return other.Run;
        }
    }) with
    {
        Arguments = command.Arguments,
        Returns = command.Returns,
    };

    private QmpCommand UntilArrival(QmpCommand command) => QmpCommand.Waiting(command.Name, (arguments, end) => _machine.State is RunState.InMigrate
        ? command.Prepare!(arguments, end)
        : throw new QmpException($"{command.Name}: the machine does not run here, and its devices cannot be changed")) with
    {
        Arguments = command.Arguments,
        Returns = command.Returns,
    };

    private void OnQuit()
    {
        AnnounceShutdown("host-qmp-quit");
        Ending?.Invoke(0);
    }

    private void Announce(string status)
    {
        if (_commands.Capabilities.Events)
        {
            _monitor.Broadcast("MIGRATION", writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("status", status);
                writer.WriteEndObject();
            });
        }
    }

    private void AnnouncePass(int pass)
    {
        if (_commands.Capabilities.Events)
        {
            _monitor.Broadcast("MIGRATION_PASS", writer =>
            {
                writer.WriteStartObject();
                writer.WriteNumber("pass", pass);
                writer.WriteEndObject();
            });
        }
    }
}
