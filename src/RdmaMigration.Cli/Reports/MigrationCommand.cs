using System.CommandLine;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Service;
using RdmaMigration.Transport;
using RdmaMigration.Verbs;

namespace RdmaMigration.Cli.Reports;

/// <summary>
/// A command that runs a host: the options that say how it reports, and the way from a host to an exit code. The host's main loop runs on the calling thread;
/// a <see cref="ReportThread"/> feeds one of three views.
/// </summary>
internal abstract class MigrationCommand : Command
{
    private readonly Option<TimeSpan?> _interval = SharedOptions.Value(
        "--interval", "Time between two progress reports [default: 1 with --json, else 5; a terminal shows progress live]", new DurationKind());

    private readonly Option<bool> _verbose = new("--verbose", "-v") { Description = "Log every step to stderr" };

    private readonly Option<bool> _json;

    private readonly TelemetrySettings _telemetry = new();

    protected MigrationCommand(Screen screen, string name, string description, string events)
        : base(name, description)
    {
        Screen = screen;
        _json = SharedOptions.Json($"Write events to stdout as JSON, one object a line: {events}");
        SetAction(Run);
    }

    /// <summary>Where it writes.</summary>
    protected Screen Screen { get; }

    /// <summary>Adds the options that all of these commands have, behind their own.</summary>
    protected void AddReportOptions()
    {
        Add(_interval);
        Add(_verbose);
        Add(_json);
    }

    /// <summary>Adds the options of the commands that run migrations of their own, behind their own options.</summary>
    protected void AddHostOptions()
    {
        AddReportOptions();
        _telemetry.AddTo(Options, Validators);
    }

    /// <summary>What is exported of metrics and traces.</summary>
    protected TelemetryOptions Telemetry(ParseResult parsed) => _telemetry.Read(parsed);

    /// <summary>Does the command's work, mostly by <see cref="RunHost"/>.</summary>
    protected abstract int Run(ParseResult parsed);

    /// <summary>Runs a host and reports.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="uri">What it begins with: where it listens, or sends to; null for nothing.</param>
    /// <param name="writeParameters">Writes the parameters in effect as members of a JSON object.</param>
    /// <param name="create">Makes the host, from the least level to log, the observer, and where logs go.</param>
    protected int RunHost(
        ParseResult parsed,
        MigrationUri? uri,
        Action<Utf8JsonWriter> writeParameters,
        Func<LogLevel, IMigrationObserver, Action<ILoggingBuilder>?, MigrationHost> create) =>
        RunReported(parsed, uri, writeParameters, (level, report, logging) =>
        {
            MigrationHost host = create(level, report, logging);
            host.Telemetry = Telemetry(parsed);
            return host.Run();
        });

    /// <summary>Runs and reports.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="uri">What it begins with: where it listens, or sends to; null for nothing.</param>
    /// <param name="writeParameters">Writes the parameters in effect as members of a JSON object.</param>
    /// <param name="run">Runs to the exit code, with the least level to log, the reports, and where logs go.</param>
    protected int RunReported(
        ParseResult parsed,
        MigrationUri? uri,
        Action<Utf8JsonWriter> writeParameters,
        Func<LogLevel, ReportThread, Action<ILoggingBuilder>?, int> run)
    {
        (bool json, bool verbose, TimeSpan? interval) = (parsed.GetValue(_json), parsed.GetValue(_verbose), parsed.GetValue(_interval));
        MigrationView view = json ? new JsonView(Screen, interval) { Parameters = writeParameters }
            : Screen.ErrorIsTerminal && !verbose ? new LiveView(Screen)
            : new LinesView(Screen, interval);
        using ReportThread report = new(view, Screen.Error);
        try
        {
            return run(
                verbose ? LogLevel.Debug : LogLevel.Warning,
                report,
                json || verbose ? null : logging => logging.AddProvider(new ReportLoggerProvider(report)));
        }
        catch (Exception cannot) when (cannot is ConnectFailedException or VerbsException)
        {
            return HostCannot(cannot.Message, uri);
        }
    }

    /// <summary>Says why this host cannot do it.</summary>
    /// <param name="reason">Why.</param>
    /// <param name="uri">What it has to do with; null for nothing that is an address.</param>
    protected int HostCannot(string reason, MigrationUri? uri)
    {
        Screen.Error.WriteLine($"rdmamig: {reason}");
        if (uri is { IsRdma: true } && !RdmaSupport.IsSupported)
        {
            Screen.Error.WriteLine("Run 'rdmamig doctor' to check this host.");
        }

        return ExitCode.HostCannot;
    }
}
