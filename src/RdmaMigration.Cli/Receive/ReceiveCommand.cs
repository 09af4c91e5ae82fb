using System.CommandLine;
using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Service;
using RdmaMigration.Transport;
using RdmaMigration.Verbs;

namespace RdmaMigration.Cli.Receive;

/// <summary><c>rdmamig receive URI --to FILE|DIR/</c>: takes running machines from QEMU into files that QEMU can start from.</summary>
internal static class ReceiveCommand
{
    public static string[] Examples { get; } =
    [
        "rdmamig receive rdma:10.0.0.5:4444 --to vm.qemu              # one machine, then exit",
        "rdmamig receive rdma:10.0.0.5:4444 --to /srv/captures/       # one machine after the other, until Ctrl-C",
        "rdmamig receive rdma::4444 --to vm.qemu --once --json --max-ram 16G --allow 10.0.0.0/24",
        "  on the source, in QEMU's monitor: migrate -d rdma:10.0.0.5:4444",
        "  to start the machine from the file: qemu-system-x86_64 ... -incoming 'exec:cat vm.qemu'",
    ];

    public static Command Create(Screen screen)
    {
        var uri = new Argument<RdmaUri>("URI")
        {
            Description = "Where to listen: rdma:HOST:PORT as QEMU writes it; an IPv6 address in brackets, an empty HOST for every address",
            CustomParser = result => Try(result, RdmaUri.Parse),
        };
        var to = new Option<string>("--to")
        {
            Description = "Where captures go. FILE: ends after the first complete one. DIR/ (a trailing slash, or a directory): keeps serving, each capture under a name of its own",
            HelpName = "FILE|DIR/",
            Required = true,
        };
        var once = new Option<bool>("--once") { Description = "End after the first migration, also when it failed (exit code 1)" };
        var maxRam = SharedOptions.MaxRam("The most RAM that a source may make this host allocate; binary units [default: the RAM that this host can give]");
        var timeout = SharedOptions.Seconds("--timeout", "The longest that one migration may take [default: no limit]");
        var keepAlive = SharedOptions.Seconds("--keepalive-interval", $"Silence after which the source is probed; 0 never probes [default: {Default.Listener.KeepAliveInterval.TotalSeconds}]",
            zeroIsOff: true);
        var allow = new Option<IPNetwork[]>("--allow")
        {
            Description = "A network that may connect, such as 10.0.0.0/24; repeatable [default: everyone]",
            HelpName = "CIDR",
            CustomParser = result => [.. result.Tokens.Select(token => ParseNetwork(result, token.Value))],
        };
        var pattern = new Option<string?>("--pattern")
        {
            Description = "Names in DIR/, from {machine} (its type), {time} (UTC, 20260131T235959Z) and {peer}; a name that is taken gets .1, .2 behind it "
                + $"[default: {CaptureTarget.DefaultPattern}]",
            HelpName = "NAME",
        };
        var interval = SharedOptions.Seconds("--interval", "Between two reports of progress [default: 1 with --json, else 5; a terminal shows it live]");
        var switchoverAck = new Option<bool>("--switchover-ack") { Description = "Acknowledge the switchover at once, for a source with capability switchover-ack" };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Log each step to stderr" };
        var json = SharedOptions.Json("Write events as JSON, one object a line: LISTENING, MIGRATION, PROGRESS, RESULT");

        var command = new Command("receive", "Takes running machines from QEMU's migrate rdma:HOST:PORT into files.")
        {
            uri, to, once, maxRam, timeout, keepAlive, allow, pattern, interval, switchoverAck, verbose, json,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(pattern) is { } names)
            {
                if (result.GetValue(to) is { } target && !IsDirectory(target))
                {
                    result.AddError($"--pattern names captures in a directory, and --to {target} is one file: write --to {target}/");
                }

                try
                {
                    CaptureTarget.ToDirectory(".", names);
                }
                catch (FormatException unreadable)
                {
                    result.AddError($"--pattern: {unreadable.Message}");
                }
            }
        });
        command.SetAction(parsed =>
        {
            var target = parsed.GetRequiredValue(to);
            var isDirectory = IsDirectory(target);
            var options = Default with
            {
                Uri = parsed.GetRequiredValue(uri),
                Target = isDirectory
                    ? CaptureTarget.ToDirectory(target, parsed.GetValue(pattern) ?? CaptureTarget.DefaultPattern)
                    : CaptureTarget.ToFile(target),
                Once = parsed.GetValue(once),
                Timeout = parsed.GetValue(timeout),
                SwitchoverAck = parsed.GetValue(switchoverAck),
                Listener = Default.Listener with
                {
                    KeepAliveInterval = parsed.GetValue(keepAlive) ?? Default.Listener.KeepAliveInterval,
                    Allow = parsed.GetValue(allow) ?? [],
                },
            };
            if (parsed.GetValue(maxRam) is { } most)
            {
                options = options with { MaxRam = most };
            }

            return Run(screen, options, parsed.GetValue(json), parsed.GetValue(interval), parsed.GetValue(verbose));
        });
        return command;
    }

    private static IncomingOptions Default => new() { Uri = default, Target = CaptureTarget.ToFile("capture") };

    private static int Run(Screen screen, IncomingOptions options, bool json, TimeSpan? interval, bool verbose)
    {
        if (ReasonNotWritable(options.Target.Directory) is { } reason)
        {
            screen.Error.WriteLine($"rdmamig: {reason}");
            return ExitCode.HostCannot;
        }

        ReceiveView view = json ? new JsonView(screen, interval)
            : screen.ErrorIsTerminal && !verbose ? new LiveView(screen)
            : new LinesView(screen, interval);
        using var report = new ReportThread(view);
        var host = new ReceiverHost(
            new ReceiverOptions { Incoming = options, LogLevel = verbose ? LogLevel.Debug : LogLevel.Warning },
            report,
            json || verbose ? null : logging => logging.AddProvider(new ReportLoggerProvider(report)));
        try
        {
            return host.Run();
        }
        catch (Exception cannot) when (cannot is TransportException or IOException)
        {
            screen.Error.WriteLine($"rdmamig: {cannot.Message}");
            if (!RdmaSupport.IsSupported)
            {
                screen.Error.WriteLine("'rdmamig doctor' says what this host lacks.");
            }

            return ExitCode.HostCannot;
        }
    }

    /// <summary>Tries: permissions, read-only mounts and file systems without files all show, and better now than after the machine has arrived.</summary>
    private static string? ReasonNotWritable(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return $"there is no directory '{directory}': mkdir -p '{directory}'";
        }

        try
        {
            File.OpenHandle(Path.Combine(directory, $".rdmamig-{Guid.NewGuid():N}.probe"), FileMode.CreateNew, FileAccess.Write, options: FileOptions.DeleteOnClose).Dispose();
            return null;
        }
        catch (Exception cannot) when (cannot is IOException or UnauthorizedAccessException)
        {
            return $"no file can be made in '{directory}': {cannot.Message}";
        }
    }

    private static bool IsDirectory(string path) => Path.EndsInDirectorySeparator(path) || Directory.Exists(path);

    private static IPNetwork ParseNetwork(System.CommandLine.Parsing.ArgumentResult result, string text)
    {
        // One host needs no prefix length.
        if (IPAddress.TryParse(text, out var host) && !text.Contains('/'))
        {
            return new IPNetwork(host, host.GetAddressBytes().Length * 8);
        }

        if (IPNetwork.TryParse(text, out var network))
        {
            return network;
        }

        return SharedOptions.Refuse<IPNetwork>(result, $"--allow: '{text}' is not a network: an address and a prefix length, such as 10.0.0.0/24");
    }

    private static RdmaUri Try(System.CommandLine.Parsing.ArgumentResult result, Func<string, RdmaUri> parse)
    {
        try
        {
            return parse(result.Tokens[0].Value);
        }
        catch (FormatException unreadable)
        {
            return SharedOptions.Refuse<RdmaUri>(result, unreadable.Message);
        }
    }
}
