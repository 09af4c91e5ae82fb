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
        "Where to save. FILE: receive one machine, then exit. DIR/ (a trailing slash, or an existing directory): receive machines until stopped, each into "
            + "a new file",
        CapturePath.HelpName,
        required: true);

    private readonly ParameterOptions _parameters = new(MigrationSide.Incoming);

    private readonly Option<bool> _once = SharedOptions.Once();

    private readonly Option<string?> _pattern = new("--pattern")
    {
        Description = "File names in DIR/, made of {machine} (machine type), {time} (UTC, 20260131T235959Z) and {peer}; "
            + $"if the name is taken, .1, .2 and so on is appended [default: {CaptureTarget.DefaultPattern}]",
        HelpName = "NAME",
    };

    public ReceiveCommand(Screen screen)
        : base(screen, "receive", "Receives running machines from QEMU and saves each to a file.", "LISTENING, MIGRATION, PROGRESS, RESULT")
    {
        Add(_uri);
        Add(_to);
        Add(_pattern);
        Add(_once);
        _parameters.AddTo(Options);
        AddHostOptions();
        Validators.Add(CheckPattern);
        Validators.Add(result => _parameters.Check(result, source: SharedOptions.ValueOf(() => result.GetValue(_uri)), destination: null));
    }

    public static string[] Examples { get; } =
    [
        "rdmamig receive rdma:10.0.0.5:4444 --to vm.qemu              # receive one machine, then exit",
        "  then, in the monitor of the source QEMU: migrate -d rdma:10.0.0.5:4444",
        "rdmamig receive rdma:10.0.0.5:4444 --to /srv/captures/       # receive machines until Ctrl-C",
        "rdmamig receive rdma::4444 --to vm.qemu --once --json --max-ram 16G --allow 10.0.0.0/24",
        "rdmamig receive tcp::4444 --to vm.qemu --tls-creds /etc/pki/rdmamig    # encrypted; the source needs tls-creds too",
        "rdmamig receive unix:/run/vm.sock --to vm.qemu               # without RDMA; tcp:10.0.0.5:4444 works too",
        "rdmamig receive 'exec:gzip -dc vm.gz' --to vm.qemu           # from a command; file:PATH and fd:0 work too",
        "  start the machine from the file: qemu-system-x86_64 ... -incoming 'exec:cat vm.qemu'",
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
        return RunHost(
            parsed,
            incoming.Uri,
            json => _parameters.WriteTo(json, incoming.Parameters, incoming.Uri, destination: null),
            (level, observer, logging) => new ReceiverHost(incoming, observer, logLevel: level, logging: logging));
    }

    private void CheckPattern(CommandResult result)
    {
        if (result.GetValue(_pattern) is not { } pattern)
        {
            return;
        }

        if (SharedOptions.ValueOf(() => result.GetValue(_to)) is { } target && !CapturePath.IsDirectory(target))
        {
            result.AddError($"--pattern needs a directory, and --to {target} is a file: write --to {target}/");
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
