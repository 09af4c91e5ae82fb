using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Service;

namespace RdmaMigration.Cli.Serve;

/// <summary><c>rdmamig serve --qmp PATH --incoming defer|URI</c>: one process with one machine and a QMP monitor, as a QEMU is.</summary>
internal sealed class ServeCommand : MigrationCommand
{
    private readonly Option<string?> _qmp = MonitorOptions.Monitor(
        "The UNIX socket of the monitor. Only this user and root can connect. fd:N: an inherited socket, listening or connected", required: true);

    private readonly Option<ServeIncoming?> _incoming = MonitorOptions.Incoming(
        "Where the machine comes from: rdma:HOST:PORT, tcp:HOST:PORT, unix:PATH, exec:COMMAND, file:PATH or fd:N; or defer, to wait for migrate-incoming");

    private readonly Option<bool> _paused = new("--paused", "-S") { Description = "A machine that arrives stays paused" };

    private readonly Option<string?> _name = new("--name") { Description = "The machine's name, for query-name", HelpName = "NAME" };

    private static readonly string s_profiles = string.Join(", ", QemuProfile.All.Select(profile => profile.Name));

    private readonly Option<QemuProfile?> _profile = new("--profile")
    {
        Description = $"The QEMU version that the monitor models: {s_profiles} "
            + $"[default: {QemuProfile.All[^1].Name}]",
        HelpName = "VERSION",
        CustomParser = ReadProfile,
    };

    private readonly Option<string?> _config = new("--config")
    {
        Description = "A file of settings, one OPTION = VALUE a line; '#' begins a comment. The environment (RDMAMIG_SERVE_MAX_RAM for --max-ram) wins over "
            + "the file, the command line over both",
        HelpName = "FILE",
    };

    private readonly ParameterOptions _parameters = new(MigrationSide.Both);

    public ServeCommand(Screen screen)
        : base(screen, "serve", "Holds one machine in memory, not running, and serves a QMP monitor as QEMU does.", "LISTENING, MIGRATION, PROGRESS, RESULT")
    {
        Add(_qmp);
        Add(_incoming);
        Add(_paused);
        Add(_name);
        Add(_profile);
        _parameters.AddTo(Options);
        AddHostOptions();
        Add(_config);
        Validators.Add(result => _parameters.Check(result, source: SharedOptions.ValueOf(() => result.GetValue(_incoming))?.Uri, destination: null));
    }

    /// <summary>What a file and the environment add to the command line.</summary>
    public Settings Settings => field ??= new Settings(this, _config);

    public static string[] Examples { get; } =
    [
        "rdmamig serve --qmp /run/vm.qmp --incoming rdma:10.0.0.5:4444  # take a machine, keep it in memory, wait for commands",
        "rdmamig serve --qmp /run/vm.qmp --incoming defer               # wait for migrate-incoming",
        "rdmamig serve --qmp /run/vm.qmp --incoming tcp::4444 --tls-creds /etc/pki/rdmamig    # encrypted, both ways",
        "rdmamig serve --qmp fd:5 --incoming defer                      # the program that starts it has opened the monitor's socket",
        "  then, with any QMP client: {\"execute\": \"migrate\", \"arguments\": {\"uri\": \"rdma:10.0.0.7:4444\"}}",
        "rdmamig serve --qmp /run/vm.qmp --incoming rdma::4444 --metrics 127.0.0.1:9464    # curl http://127.0.0.1:9464/metrics",
        "rdmamig serve --config /etc/rdmamig/vm.conf                    # qmp = /run/vm.qmp, incoming = rdma::4444, max-ram = 16G",
    ];

    protected override int Run(ParseResult parsed)
    {
        ServeOptions options = new()
        {
            Monitor = parsed.GetRequiredValue(_qmp)!,
            Incoming = parsed.GetValue(_incoming),
            IsPaused = parsed.GetValue(_paused),
            Name = parsed.GetValue(_name),
            Profile = parsed.GetValue(_profile) ?? QemuProfile.All[^1],
            Package = $"rdmamig {Rdmamig.Version}",
            Parameters = _parameters.Read(parsed),
        };
        try
        {
            return RunHost(
                parsed,
                options.Incoming?.Uri,
                json => _parameters.WriteTo(json, options.Parameters, options.Incoming?.Uri, destination: null),
                (level, observer, logging) => new ServeHost(options, observer, level, logging));
        }
        catch (MigrationException cannot)
        {
            return HostCannot(cannot.Message, options.Incoming?.Uri);
        }
    }

    private static QemuProfile? ReadProfile(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        return QemuProfile.All.FirstOrDefault(profile => profile.Name == text)
            ?? SharedOptions.Refuse<QemuProfile>(result, $"--profile: '{text}' is not one of {s_profiles}");
    }
}
