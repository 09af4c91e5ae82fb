using System.CommandLine;
using System.CommandLine.Parsing;
using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Guest;

/// <summary><c>rdmamig guest</c>: a machine of this program that dirties memory at a known rate, moves, and proves that nothing was lost.</summary>
internal sealed class GuestCommand : MigrationCommand
{
    private const ulong MiB = 1 << 20;
    private const ulong DefaultRam = 1024 * MiB;
    private const ulong DefaultRate = 100 * MiB;
    private const int DefaultShare = 25;
    private const int DefaultWriters = 2;

    private static readonly TimeSpan s_defaultAfter = TimeSpan.FromSeconds(5);

    private readonly Option<ulong?> _ram = SharedOptions.Value(
        "--ram",
        $"The guest's RAM, a multiple of 1M. Both sides must have the same [default: {ByteSize.Format(DefaultRam)}]",
        new SizeKind(least: MiB, multipleOf: MiB));

    private readonly Option<ulong?> _dirtyRate = SharedOptions.Value(
        "--dirty-rate",
        $"Bytes a second that the guest writes; 0 for as many as it can [default: {ByteSize.Format(DefaultRate)}]",
        new SizeKind(least: 0));

    private readonly Option<int?> _workingSet = SharedOptions.Value(
        "--working-set", $"The share of RAM that the guest writes to [default: {DefaultShare}%]", new PercentKind());

    private readonly Option<GuestPattern?> _pattern = SharedOptions.Value(
        "--pattern",
        "The order of writes in the working set. random: any page; sequential: the next page; hot: nine of ten writes go to the first tenth [default: random]",
        new ChoiceKind<GuestPattern>());

    private readonly Option<int?> _writers = SharedOptions.Value(
        "--writers", $"Threads that write [default: {DefaultWriters}]", new CountKind(1, 64));

    private readonly Option<ServeIncoming?> _incoming = MonitorOptions.Incoming(
        "Wait here for a guest, verify it and go on with it. Rate, working set and pattern come with the guest. rdma:HOST:PORT, tcp:HOST:PORT or unix:PATH; "
            + "or defer, with --qmp, to wait for migrate-incoming");

    private readonly Option<string?> _qmp = MonitorOptions.Monitor(
        "Serve a QMP monitor at this UNIX socket: its clients stop, start, move and watch the guest, which stays until quit. Only this user and root can "
            + "connect");

    private readonly Option<MigrationUri> _migrate = Addresses.Option(
        "--migrate", "Move the guest, while it runs, to a 'rdmamig guest --incoming' that waits there; then exit");

    private readonly Option<TimeSpan?> _after = SharedOptions.Value(
        "--after", $"With --migrate: how long the guest runs before it moves [default: {s_defaultAfter.TotalSeconds}]", new DurationKind(zero: "at once"));

    private readonly Option<TimeSpan?> _for = SharedOptions.Value(
        "--for",
        "How long the guest runs here before it is verified and the command exits. With --incoming: from its arrival. With --migrate: only after a failed move "
            + "[default: until Ctrl-C; after a failed move, exit at once]",
        new DurationKind());

    private readonly ParameterOptions _parameters = new(
        MigrationSide.Both,
        MigrationParameters.DowntimeLimit,
        MigrationParameters.AutoConverge,
        MigrationParameters.ThrottleTriggerThreshold,
        MigrationParameters.CpuThrottleInitial,
        MigrationParameters.CpuThrottleIncrement,
        MigrationParameters.MaxCpuThrottle,
        MigrationParameters.PinAll,
        MigrationParameters.Verify,
        MigrationParameters.Window,
        MigrationParameters.MaxBandwidth,
        MigrationParameters.Timeout,
        MigrationParameters.ConnectTimeout,
        MigrationParameters.KeepAliveInterval,
        MigrationParameters.AnswerTimeout,
        MigrationParameters.ConfirmTimeout,
        MigrationParameters.Allow);

    public GuestCommand(Screen screen)
        : base(
            screen,
            "guest",
            "Runs a synthetic guest that dirties memory at a known rate, moves it while it runs, and verifies that no write was lost.",
            "LISTENING, GUEST, MIGRATION, PROGRESS, RESULT, VERIFIED")
    {
        foreach (Option option in (Option[])[_ram, _dirtyRate, _workingSet, _pattern, _writers, _qmp, _incoming, _migrate, _after, _for])
        {
            Add(option);
        }

        _parameters.AddTo(Options);
        AddHostOptions();
        Validators.Add(Check);
    }

    public static string[] Examples { get; } =
    [
        "rdmamig guest --ram 1G --dirty-rate 200M --working-set 25%                  # runs and prints its rate until Ctrl-C",
        "rdmamig guest --ram 1G --incoming rdma:10.0.0.7:4444                        # on one host: waits for a guest",
        "rdmamig guest --ram 1G --dirty-rate 200M --migrate rdma:10.0.0.7:4444       # on another: runs 5 s, then moves there",
        "rdmamig guest --ram 1G --qmp /run/guest.qmp                                 # runs; 'rdmamig migrate' and 'rdmamig top' drive it there",
        "rdmamig guest --ram 1G --qmp /run/guest.qmp --metrics 127.0.0.1:9464        # curl http://127.0.0.1:9464/metrics",
        "rdmamig guest --ram 256M --incoming unix:/run/guest.sock --for 10 --json    # verifies, runs 10 s, verifies again, exits",
    ];

    protected override int Run(ParseResult parsed)
    {
        ulong ram = parsed.GetValue(_ram) ?? DefaultRam;
        GuestPlan plan = new()
        {
            Ram = ram,
            Load = new GuestLoad(
                parsed.GetValue(_pattern) ?? GuestPattern.Random,
                Math.Max(ram / GuestPage.Size * (ulong)(parsed.GetValue(_workingSet) ?? DefaultShare) / 100, 1),
                parsed.GetValue(_dirtyRate) ?? DefaultRate),
            Writers = parsed.GetValue(_writers) ?? DefaultWriters,
            Monitor = parsed.GetValue(_qmp),
            Incoming = parsed.GetValue(_incoming),
            Destination = parsed.GetValue(_migrate),
            After = parsed.GetValue(_after) ?? s_defaultAfter,
            For = parsed.GetValue(_for),
            Telemetry = Telemetry(parsed),
            Parameters = _parameters.Read(parsed),
        };
        if (plan.Destination is { } to && Addresses.ReasonCannotSend(to) is { } reason)
        {
            return HostCannot(reason, to);
        }

        try
        {
            return RunReported(
                parsed,
                plan.Incoming?.Uri ?? plan.Destination,
                json => _parameters.WriteTo(json, plan.Parameters, plan.Incoming?.Uri, plan.Destination),
                (level, report, logging) => Run(plan, report, level, logging ?? MigrationHost.LogToStandardError));
        }
        catch (MigrationException cannot)
        {
            return HostCannot(cannot.Message, plan.Incoming?.Uri);
        }
    }

    private static int Run(GuestPlan plan, ReportThread report, LogLevel level, Action<ILoggingBuilder> logging)
    {
        using ILoggerFactory log = LoggerFactory.Create(builder =>
        {
            MigrationHost.LogFrom(builder, level);
            logging(builder);
        });
        return new GuestSession(plan, report, log).Run();
    }

    private void Check(CommandResult result)
    {
        ServeIncoming? from = SharedOptions.ValueOf(() => result.GetValue(_incoming));
        MigrationUri? to = SharedOptions.ValueOf(() => result.GetValue(_migrate));
        Addresses.CheckDestination(result, to);
        _parameters.Check(result, from?.Uri, to);
        foreach (Option option in (Option[])[_dirtyRate, _workingSet, _pattern])
        {
            if (from is not null && result.GetResult(option) is { Implicit: false })
            {
                result.AddError($"{option.Name} comes with the guest that arrives: give it to the source, or leave out --incoming");
            }
        }

        bool hasMonitor = result.GetResult(_qmp) is { Implicit: false };
        if (from is { Uri: null } && !hasMonitor)
        {
            result.AddError("--incoming defer needs --qmp: a client says where to listen");
        }

        if (to is not null && hasMonitor)
        {
            result.AddError("--migrate and --qmp exclude each other: with --qmp a client moves the guest");
        }

        if (result.GetResult(_after) is { Implicit: false } && result.GetResult(_migrate) is null)
        {
            result.AddError("--after needs --migrate: it says when the guest moves");
        }
    }
}
