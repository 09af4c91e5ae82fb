using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Receive;

/// <summary><c>rdmamig receive URI --to FILE|DIR/</c>: takes running machines from QEMU into files that QEMU can start from.</summary>
internal sealed class ReceiveCommand : MigrationCommand
{
    private static readonly ListenerOptions s_listener = new();

    private readonly Argument<MigrationUri> _uri = SharedOptions.Address(
        "URI",
        "Where the machine comes from, as QEMU writes it: rdma:HOST:PORT, tcp:HOST:PORT and unix:PATH listen (an IPv6 address in brackets, an empty HOST "
        + "for every address); exec:COMMAND, file:PATH[,offset=N] and fd:N are read, once");

    private readonly Option<string> _to = new("--to")
    {
        Description = "Where captures go. FILE: ends after the first complete one. DIR/ (a trailing slash, or a directory): "
            + "keeps serving, each capture under a name of its own",
        HelpName = "FILE|DIR/",
        Required = true,
    };

    private readonly Option<bool> _once = new("--once") { Description = "End after the first migration, also when it failed (exit code 1)" };

    private readonly Option<ulong?> _maxRam = SharedOptions.MaxRam(
        "The most RAM that a source may make this host allocate; binary units [default: the RAM that this host can give]");

    private readonly Option<TimeSpan?> _timeout = SharedOptions.Seconds(
        "--timeout", "The longest that one migration may take [default: no limit]");

    private readonly Option<TimeSpan?> _keepAlive = SharedOptions.Seconds(
        "--keepalive-interval",
        $"Silence after which the source is probed; 0 never probes [default: {s_listener.KeepAliveInterval.TotalSeconds}]",
        zeroIsOff: true);

    private readonly Option<IPNetwork[]> _allow = new("--allow")
    {
        Description = "A network that may connect by RDMA or TCP, such as 10.0.0.0/24; repeatable [default: everyone]",
        HelpName = "CIDR",
        CustomParser = result => [.. result.Tokens.Select(token => ParseNetwork(result, token.Value))],
    };

    private readonly Option<string?> _pattern = new("--pattern")
    {
        Description = "Names in DIR/, from {machine} (its type), {time} (UTC, 20260131T235959Z) and {peer}; "
            + $"a name that is taken gets .1, .2 behind it [default: {CaptureTarget.DefaultPattern}]",
        HelpName = "NAME",
    };

    private readonly Option<bool> _switchoverAck = new("--switchover-ack")
    {
        Description = "Acknowledge the switchover at once, for a source with capability switchover-ack",
    };

    public ReceiveCommand(Screen screen)
        : base(screen, "receive", "Takes running machines from QEMU's migrate URI into files.", "LISTENING, MIGRATION, PROGRESS, RESULT")
    {
        Add(_uri);
        foreach (var option in (Option[])[_to, _once, _maxRam, _timeout, _keepAlive, _allow, _pattern, _switchoverAck])
        {
            Add(option);
        }

        AddReportOptions();
        Validators.Add(CheckPattern);
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
        var incoming = ReadOptions(parsed);
        if (ReasonNotWritable(incoming.Target.Directory) is { } reason)
        {
            Screen.Error.WriteLine($"rdmamig: {reason}");
            return ExitCode.HostCannot;
        }

        return RunHost(parsed, (level, observer, logging) => new ReceiverHost(new ReceiverOptions { Incoming = incoming, LogLevel = level }, observer, logging));
    }

    private IncomingOptions ReadOptions(ParseResult parsed)
    {
        var to = parsed.GetRequiredValue(_to);
        var options = new IncomingOptions
        {
            Uri = parsed.GetRequiredValue(_uri),
            Target = IsDirectory(to)
                ? CaptureTarget.ToDirectory(to, parsed.GetValue(_pattern) ?? CaptureTarget.DefaultPattern)
                : CaptureTarget.ToFile(to),
            Once = parsed.GetValue(_once),
            Timeout = parsed.GetValue(_timeout),
            SwitchoverAck = parsed.GetValue(_switchoverAck),
            Listener = s_listener with
            {
                KeepAliveInterval = parsed.GetValue(_keepAlive) ?? s_listener.KeepAliveInterval,
                Allow = parsed.GetValue(_allow) ?? [],
            },
        };
        return parsed.GetValue(_maxRam) is { } maxRam ? options with { MaxRam = maxRam } : options;
    }

    private void CheckPattern(CommandResult result)
    {
        if (result.GetValue(_pattern) is not { } pattern)
        {
            return;
        }

        if (result.GetValue(_to) is { } target && !IsDirectory(target))
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

    /// <summary>Tries: permissions, read-only mounts and file systems without files all show, better now than when the machine is here.</summary>
    private static string? ReasonNotWritable(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return $"there is no directory '{directory}': mkdir -p '{directory}'";
        }

        try
        {
            var probe = Path.Combine(directory, $".rdmamig-{Guid.NewGuid():N}.probe");
            File.OpenHandle(probe, FileMode.CreateNew, FileAccess.Write, options: FileOptions.DeleteOnClose).Dispose();
            return null;
        }
        catch (Exception cannot) when (cannot is IOException or UnauthorizedAccessException)
        {
            return $"no file can be made in '{directory}': {cannot.Message}";
        }
    }

    private static bool IsDirectory(string path) => Path.EndsInDirectorySeparator(path) || Directory.Exists(path);

    private static IPNetwork ParseNetwork(ArgumentResult result, string text)
    {
        // One host needs no prefix length.
        if (IPAddress.TryParse(text, out var host))
        {
            return new IPNetwork(host, host.GetAddressBytes().Length * 8);
        }

        return IPNetwork.TryParse(text, out var network)
            ? network
            : SharedOptions.Refuse<IPNetwork>(result, $"--allow: '{text}' is not a network: an address and a prefix length, such as 10.0.0.0/24");
    }
}
