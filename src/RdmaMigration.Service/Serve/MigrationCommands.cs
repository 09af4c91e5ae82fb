using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>The commands of a monitor, over the process of its machine. They run on the main loop, with the big lock held.</summary>
/// <param name="process">Runs migrations.</param>
/// <param name="machine">The machine's run state.</param>
/// <param name="descriptors">The descriptors that clients have passed.</param>
/// <param name="options">What the service was started with.</param>
/// <param name="announce">Sends the event MIGRATION with a status.</param>
/// <param name="quit">Ends the service.</param>
internal sealed class MigrationCommands(
    MachineProcess process, ServedMachine machine, PassedDescriptors descriptors, ServeOptions options, Action<string> announce, Action quit)
{
    private readonly QueryMigrate _query = new(options.Profile);
    private readonly TlsObjects _tls = new();

    /// <summary>The capabilities.</summary>
    public MigrationCapabilities Capabilities { get; } = new(options.Profile, options.Parameters);

    /// <summary>The parameters.</summary>
    public QemuParameters Parameters { get; } = new(options.Profile, options.Parameters);

    /// <summary>The types of arguments, replies and events.</summary>
    public MigrationTypes Types => field ??= new MigrationTypes(options.Profile, Capabilities.Names);

    /// <summary>What the reply of migrate waits for.</summary>
    public AwaitedConnection Connection { get; } = new();

    /// <summary>A failed migration that comes in ends the service, with exit code 1.</summary>
    public bool ExitsOnError { get; private set; } = true;

    /// <summary>The rows of the table.</summary>
    public IReadOnlyList<QmpCommand> Rows =>
    [
        QmpCommand.Query("query-status", Types.RunStatus, WriteStatus),
        QmpCommand.Query("query-name", MigrationTypes.Name, WriteName),
        QmpCommand.Act("stop", machine.Stop),
        QmpCommand.Act("cont", machine.Continue),
        QmpCommand.Act("quit", quit),
        QmpCommand.Deferred("migrate", Migrate) with { Arguments = Types.Migrate },
        QmpCommand.Waiting("migrate-incoming", PrepareIncomingAsync) with { Arguments = Types.MigrateIncoming },
        QmpCommand.Act("migrate_cancel", Cancel),
        new("migrate-continue", Continue) { Arguments = Types.Continue },
        QmpCommand.Query("query-migrate", Types.Migration, WriteMigration),
        QmpCommand.Query("query-migrate-capabilities", Types.Capabilities, Capabilities.Write),
        new("migrate-set-capabilities", SetCapabilities) { Arguments = Types.SetCapabilities },
        QmpCommand.Query("query-migrate-parameters", Parameters.Type, Parameters.Write),
        new("migrate-set-parameters", SetParameters) { Arguments = Parameters.SettingsType },
        QmpCommand.Act("x-rdmamig-drop", Drop),
        .. _tls.Rows,
    ];

    /// <summary>Writes the value of query-migrate.</summary>
    public void WriteMigration(Utf8JsonWriter writer) => _query.Write(writer, Shown(process.Query()), process.Uri, process.LocalEndPoint);

    /// <summary>Listens for a machine, as the option --incoming asks.</summary>
    /// <exception cref="MigrationException">It cannot listen there.</exception>
    /// <exception cref="QmpException">tls-creds or tls-authz names no object, or the channel has no TLS.</exception>
    public void Listen(MigrationUri uri)
    {
        ParameterSet parameters = EngineParameters()
            .With(MigrationParameters.TlsCreds, _tls.Directory(Parameters.Credentials, TlsEndpoint.Server))
            .With(MigrationParameters.TlsAuthz, _tls.Name(Parameters.Authorization));
        if (OptionChecks.Arrival(parameters, uri).FirstOrDefault() is { } misplaced)
        {
            throw new QmpException(misplaced);
        }

        machine.Receive(uri, parameters);
    }

    /// <summary>The migration as the profile's QEMU shows it. Capabilities do not change while a migration runs.</summary>
    public MigrationInfo Shown(MigrationInfo info) =>
        info.Status is MigrationStatus.Device && !options.Profile.HasDeviceWithoutPause && !Capabilities.PausesBeforeSwitchover
            ? info with { Status = MigrationStatus.Active }
            : info;

    private ParameterSet EngineParameters() => Capabilities.Apply(Parameters.Apply(options.Parameters));

    private Task Migrate(QmpArguments arguments, QmpSession session)
    {
        MigrationUri uri = MigrationChannels.Read(arguments, options.Profile.HasChannels, MigrationSide.Outgoing);
        bool resumes = arguments.OptionalBoolean("resume") ?? false;
        if (options.Profile.HasDetach)
        {
            _ = arguments.OptionalBoolean("detach");
        }

        bool sendsDisks = options.Profile.HasBlockMigration && (arguments.OptionalBoolean("blk") ?? false) | (arguments.OptionalBoolean("inc") ?? false);
        arguments.End();
        if (sendsDisks)
        {
            throw new QmpException("Block migration is not supported by rdmamig");
        }

        if (resumes)
        {
            throw new QmpException("Cannot resume if there is no paused migration");
        }

        if (machine.State is RunState.InMigrate)
        {
            throw new QmpException("Guest is waiting for an incoming migration");
        }

        if (machine.State is RunState.PostMigrate)
        {
            throw new QmpException("Can't migrate the vm that was paused due to previous migration");
        }

        ParameterSet parameters = EngineParameters().With(MigrationParameters.TlsCreds, _tls.Directory(Parameters.Credentials, TlsEndpoint.Client));
        if (parameters.OutOfScope(uri, MigrationSide.Outgoing).FirstOrDefault(parameter => !parameter.IsCapability) is { } misplaced)
        {
            throw new QmpException($"Parameter '{misplaced.Name}' is for {misplaced.Channels} only");
        }

        descriptors.Use(uri, forWriting: true, to => Try(() => machine.Send(new OutgoingOptions { Uri = to, Parameters = parameters })));
        return Connection.Begin(uri);
    }

    private async Task<QmpFunction> PrepareIncomingAsync(QmpArguments arguments, CancellationToken end)
    {
        MigrationUri uri = MigrationChannels.Read(arguments, options.Profile.HasChannels, MigrationSide.Incoming);
        bool exitsOnError = !options.Profile.HasExitOnError || (arguments.OptionalBoolean("exit-on-error") ?? true);
        arguments.End();
        if (options.Incoming is null)
        {
            throw new QmpException("'-incoming' was not specified on the command line");
        }

        try
        {
            MigrationUri resolved = uri is HostUri host ? await host.WithAddressesAsync(end).ConfigureAwait(false) : uri;
            return (_, _) => MigrateIncoming(resolved, exitsOnError);
        }
        catch (MigrationException unknown)
        {
            throw new QmpException(unknown.Message);
        }
    }

    private Action<Utf8JsonWriter>? MigrateIncoming(MigrationUri uri, bool exitsOnError)
    {
        if (process.IsListening || process.Kept is not null || process.IsBusy)
        {
            throw new QmpException("The incoming migration has already been started");
        }

        ExitsOnError = exitsOnError;
        descriptors.Use(uri, forWriting: false, from => Try(() => Listen(from)));
        announce(MigrationStatus.Setup.ToQmp());
        return null;
    }

    private void Cancel()
    {
        // A destination ignores it, as QEMU's does.
        if (process.Query().IsOutgoing)
        {
            process.CancelAtOnce();
        }
    }

    private Action<Utf8JsonWriter>? Continue(QmpArguments arguments, QmpSession session)
    {
        string state = arguments.RequiredString("state");
        arguments.End();
        MigrationInfo info = process.Query();
        if (state != MigrationStatus.PreSwitchover.ToQmp() || info.Status is not MigrationStatus.PreSwitchover)
        {
            throw new QmpException($"Migration not in expected state: {(info.IsOutgoing ? info.Status : MigrationStatus.None).ToQmp()}");
        }

        Try(process.Continue);
        return null;
    }

    private Action<Utf8JsonWriter>? SetCapabilities(QmpArguments arguments, QmpSession session)
    {
        (string, bool)[] changes =
            [.. arguments.RequiredObjects("capabilities").Select(change => (change.RequiredString("capability"), change.RequiredBoolean("state")))];
        arguments.End();
        if (process.IsBusy)
        {
            throw new QmpException("There's a migration process in progress");
        }

        Capabilities.Set(changes);
        return null;
    }

    private Action<Utf8JsonWriter>? SetParameters(QmpArguments arguments, QmpSession session)
    {
        Parameters.Set(arguments);
        process.SetLimits(EngineParameters());
        return null;
    }

    private void Drop() => Try(machine.Drop);

    private void WriteStatus(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("status", machine.State.ToQmp());
        if (options.Profile.HasSinglestep)
        {
            writer.WriteBoolean("singlestep", false);
        }

        writer.WriteBoolean("running", machine.State is RunState.Running);
        writer.WriteEndObject();
    }

    private void WriteName(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        if (options.Name is { } name)
        {
            writer.WriteString("name", name);
        }

        writer.WriteEndObject();
    }

    private static void Try(Action action)
    {
        try
        {
            action();
        }
        catch (MigrationException refused)
        {
            throw new QmpException(refused.Message);
        }
    }
}
