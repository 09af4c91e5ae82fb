using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Receive;

/// <summary><c>rdmamig receive URI --to FILE|DIR/</c>: takes running machines from QEMU into files that QEMU can start from.</summary>
internal sealed class ReceiveCommand : MigrationCommand
{
    private readonly Argument<MigrationUri> _uri = Addresses.Source("URI", "Where the machine comes from");

    private readonly Option<string> _to = SharedOptions.Path(
        "--to",
        "Where captures go. FILE: ends after the first complete one. DIR/ (a trailing slash, or a directory): keeps serving, each capture under a name of its own",
        CapturePath.HelpName,
        required: true);

    private readonly ParameterOptions _parameters = new(MigrationSide.Incoming);

    private readonly Option<bool> _once = SharedOptions.Once();

    private readonly Option<string?> _pattern = new("--pattern")
    {
        Description = "Names in DIR/, from {machine} (its type), {time} (UTC, 20260131T235959Z) and {peer}; "
            + $"a name that is taken gets .1, .2 behind it [default: {CaptureTarget.DefaultPattern}]",
        HelpName = "NAME",
    };

    public ReceiveCommand(Screen screen)
        : base(screen, "receive", "Takes running machines from QEMU's migrate URI into files.", "LISTENING, MIGRATION, PROGRESS, RESULT")
    {
        Add(_uri);
        Add(_to);
        Add(_pattern);
        Add(_once);
        _parameters.AddTo(this);
        AddReportOptions();
        Validators.Add(CheckPattern);
        Validators.Add(result => _parameters.Check(result, source: SharedOptions.ValueOf(() => result.GetValue(_uri)), destination: null));
    }

    public static string[] Examples { get; } =
    [
        "rdmamig receive rdma:10.0.0.5:4444 --to vm.qemu              # one machine, then exit",
        "rdmamig receive rdma:10.0.0.5:4444 --to /srv/captures/       # one machine after the other, until Ctrl-C",
        "rdmamig receive rdma::4444 --to vm.qemu --once --json --max-ram 16G --allow 10.0.0.0/24",
        "  on the source, in QEMU's monitor: migrate -d rdma:10.0.0.5:4444",
        "rdmamig receive unix:/run/vm.sock --to vm.qemu               # without RDMA: also tcp:10.0.0.5:4444",
        "rdmamig receive 'exec:gzip -dc vm.gz' --to vm.qemu           # what a command prints: also file:PATH, fd:0",
        "  to start the machine from the file: qemu-system-x86_64 ... -incoming 'exec:cat vm.qemu'",
    ];

    protected override int Run(ParseResult parsed)
    {
        CaptureTarget target = CapturePath.Read(parsed.GetRequiredValue(_to), parsed.GetValue(_pattern));
        if (CapturePath.ReasonNotWritable(target) is { } reason)
        {
            return HostCannot(reason, uri: null);
        }

        IncomingOptions incoming = new()
        {
            Uri = parsed.GetRequiredValue(_uri),
            Target = target,
            Once = parsed.GetValue(_once),
            Parameters = _parameters.Read(parsed),
        };
        return RunHost(parsed, incoming.Uri, (level, observer, logging) => new ReceiverHost(incoming, observer, logLevel: level, logging: logging));
    }

    private void CheckPattern(CommandResult result)
    {
        if (result.GetValue(_pattern) is not { } pattern)
        {
            return;
        }

        if (SharedOptions.ValueOf(() => result.GetValue(_to)) is { } target && !CapturePath.IsDirectory(target))
        {
            result.AddError($"--pattern names captures in a directory, and --to {target} is one file: write --to {target}/");
        }

        try
        {
            CaptureTarget.ToDirectory(".", pattern);
        }
        catch (FormatException unreadable)
        {
            result.AddError($"--pattern: {unreadable.Message}");
        }
    }
}
