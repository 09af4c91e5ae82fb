using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Qmp.Client;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Remote;

/// <summary><c>rdmamig migrate SOCKET URI</c>: has the process behind a QMP socket migrate its machine, and follows it to the end.</summary>
internal sealed class MigrateCommand : MigrationCommand
{
    private readonly Argument<string> _socket = MonitorOptions.Socket();

    private readonly Argument<string> _uri = new("URI")
    {
        Description = "Where the machine goes: rdma:HOST:PORT, tcp:HOST:PORT, unix:PATH, exec:COMMAND, file:PATH or fd:NAME. "
            + "The QEMU at SOCKET opens it, in its own directory",
        CustomParser = ReadUri,
    };

    private readonly Option<bool> _pinAll = new("--pin-all") { Description = "Short for --capability rdma-pin-all: register and lock all RAM at the start" };

    private readonly Option<ulong?> _maxBandwidth = SharedOptions.Value(
        "--max-bandwidth", "Short for --parameter max-bandwidth=SIZE: bytes a second", new SizeKind(least: 1));

    private readonly Option<TimeSpan?> _downtimeLimit = SharedOptions.Value(
        "--downtime-limit", "Short for --parameter downtime-limit=MILLISECONDS: how long the machine may be stopped", new MillisecondsKind());

    private readonly Option<CapabilitySetting[]> _capabilities = new("--capability")
    {
        Description = "Set a capability of the QEMU at SOCKET, for example return-path or multifd=off. It stays set. Repeatable",
        HelpName = "NAME[=on|off]",
        Arity = ArgumentArity.OneOrMore,
        CustomParser = CapabilitySetting.Parse,
    };

    private readonly Option<NamedValue[]> _named = new("--parameter")
    {
        Description = "Set a parameter of the QEMU at SOCKET, for example multifd-channels=4 or max-bandwidth=10G. It stays set. Repeatable",
        HelpName = "NAME=VALUE",
        Arity = ArgumentArity.OneOrMore,
        CustomParser = NamedValue.Parse,
    };

    private readonly Option<bool> _pause = new("--pause-before-switchover")
    {
        Description = "Stop the machine before the switchover and wait for Enter. Without this option the migration continues at once, also if "
            + "pause-before-switchover is on already",
    };

    private readonly Option<TimeSpan?> _greetingTimeout = MonitorOptions.GreetingTimeout();

    public MigrateCommand(Screen screen)
        : base(
            screen, "migrate", "Starts and follows a migration of a QEMU, rdmamig serve or rdmamig guest, over its QMP socket.", "MIGRATION, PROGRESS, RESULT")
    {
        Add(_socket);
        Add(_uri);
        Add(_pinAll);
        Add(_maxBandwidth);
        Add(_downtimeLimit);
        Add(_capabilities);
        Add(_named);
        Add(_pause);
        Add(_greetingTimeout);
        AddReportOptions();
    }

    public static string[] Examples { get; } =
    [
        "rdmamig migrate /run/vm.qmp rdma:10.0.0.7:4444 --pin-all --max-bandwidth 10G    # Ctrl-C cancels the migration",
        "rdmamig migrate /run/vm.qmp tcp:10.0.0.7:4444 --capability return-path --parameter downtime-limit=100 --json",
    ];

    protected override int Run(ParseResult parsed)
    {
        MonitorSettings settings = Settings(parsed);
        MigrateRequest request = new(parsed.GetRequiredValue(_uri), settings, parsed.GetValue(_pause));
        return RunReported(
            parsed,
            uri: null,
            settings.WriteTo,
            (_, report, _) => RunAsync(parsed.GetRequiredValue(_socket), parsed.GetValue(_greetingTimeout), request, report).GetAwaiter().GetResult());
    }

    private static async Task<int> RunAsync(string socket, TimeSpan? greetingTimeout, MigrateRequest request, ReportThread report)
    {
        using CancellationTokenSource cancel = new();
        using SignalWatch signals = new((signal, endsAtOnce) =>
        {
            report.OnSignal(signal, endsAtOnce);
            _ = cancel.CancelAsync();
        });
        MonitorSession monitor;
        try
        {
            monitor = await MonitorSession.OpenAsync(socket, greetingTimeout ?? MonitorOptions.DefaultGreetingTimeout, cancel.Token).ConfigureAwait(false);
        }
        catch (QmpClientException cannot)
        {
            report.Tell(LogLevel.Error, cannot.Message);
            return ExitCode.HostCannot;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            return ExitCode.Cancelled;
        }

        await using (monitor.ConfigureAwait(false))
        {
            try
            {
                return await new MigrateRun(monitor, request, report, cancel.Token).RunAsync().ConfigureAwait(false);
            }
            catch (Exception failed) when (failed is QmpClientException or QmpCommandException)
            {
                report.Tell(LogLevel.Error, failed.Message);
                return ExitCode.Failed;
            }
        }
    }

    private MonitorSettings Settings(ParseResult parsed)
    {
        List<CapabilitySetting> capabilities = [.. parsed.GetValue(_capabilities) ?? []];
        List<NamedValue> parameters = [.. parsed.GetValue(_named) ?? []];
        if (parsed.GetValue(_pinAll))
        {
            capabilities.Add(new CapabilitySetting("rdma-pin-all", IsOn: true));
        }

        if (parsed.GetValue(_pause))
        {
            capabilities.Add(new CapabilitySetting("pause-before-switchover", IsOn: true));
        }

        if (parsed.GetValue(_maxBandwidth) is { } bandwidth)
        {
            parameters.Add(new NamedValue("max-bandwidth", bandwidth.ToString(CultureInfo.InvariantCulture)));
        }

        if (parsed.GetValue(_downtimeLimit) is { } limit)
        {
            parameters.Add(new NamedValue("downtime-limit", limit.TotalMilliseconds.ToString(CultureInfo.InvariantCulture)));
        }

        return new MonitorSettings(capabilities, parameters);
    }

    /// <summary>The process reads the address, not this program. Over RDMA it needs a host and a port: some versions of QEMU abort without them.</summary>
    private static string? ReadUri(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (text.StartsWith("rdma:", StringComparison.Ordinal))
        {
            try
            {
                return RdmaUri.Parse(text) is { Lacks: { } lack } ? SharedOptions.Refuse<string>(result, $"{lack}: expected rdma:HOST:PORT") : text;
            }
            catch (FormatException unreadable)
            {
                return SharedOptions.Refuse<string>(result, unreadable.Message);
            }
        }

        return text.Contains(':', StringComparison.Ordinal)
            ? text
            : SharedOptions.Refuse<string>(result, $"'{text}' is not a migration address; expected rdma:HOST:PORT, tcp:HOST:PORT or unix:PATH");
    }
}
