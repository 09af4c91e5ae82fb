using System.CommandLine;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Qmp.Client;
using RdmaMigration.Service;

namespace RdmaMigration.Cli.Remote;

/// <summary><c>rdmamig top SOCKET</c>: shows a migration that another client of the process started, or waits for the next.</summary>
internal sealed class TopCommand : Command
{
    private static readonly TimeSpan s_defaultInterval = TimeSpan.FromSeconds(1);

    private readonly Screen _screen;

    private readonly Argument<string> _socket = MonitorOptions.Socket();

    private readonly Option<TimeSpan?> _interval = SharedOptions.Value(
        "--interval", $"Time between two samples [default: {s_defaultInterval.TotalSeconds}]", new DurationKind());

    private readonly Option<bool> _once = new("--once") { Description = "Print one sample and exit" };

    private readonly Option<bool> _json = SharedOptions.Json("Write samples to stdout as JSON, one object a line: SAMPLE");

    private readonly Option<TimeSpan?> _greetingTimeout = MonitorOptions.GreetingTimeout();

    public TopCommand(Screen screen)
        : base("top", "Shows the migration of a QEMU, rdmamig serve or rdmamig guest, over its QMP socket. q or Ctrl-C exits.")
    {
        _screen = screen;
        Add(_socket);
        Add(_interval);
        Add(_once);
        Add(_json);
        Add(_greetingTimeout);
        SetAction(parsed => RunAsync(parsed).GetAwaiter().GetResult());
    }

    public static string[] Examples { get; } =
    [
        "rdmamig top /run/vm-2.qmp                                # QEMU: a second -qmp socket, as each serves one client",
        "rdmamig top /run/vm-2.qmp --once --json                  # one line for a script",
    ];

    private async Task<int> RunAsync(ParseResult parsed)
    {
        using CancellationTokenSource quit = new();
        ITopView view = parsed.GetValue(_json) ? new TopJson(_screen)
            : _screen.OutputIsTerminal && !parsed.GetValue(_once) ? new TopTerminal(_screen, quit)
            : new TopLines(_screen);
        using SignalWatch signals = new((signal, endsAtOnce) =>
        {
            if (endsAtOnce)
            {
                view.Abandon();
            }

            _ = quit.CancelAsync();
        });
        try
        {
            await using MonitorSession monitor = await MonitorSession.OpenAsync(
                parsed.GetRequiredValue(_socket), parsed.GetValue(_greetingTimeout) ?? MonitorOptions.DefaultGreetingTimeout, quit.Token).ConfigureAwait(false);
            TimeSpan? interval = parsed.GetValue(_once) ? null : parsed.GetValue(_interval) ?? s_defaultInterval;
            await new TopRun(monitor, view, interval).RunAsync(quit.Token).ConfigureAwait(false);
            return ExitCode.Done;
        }
        catch (OperationCanceledException) when (quit.IsCancellationRequested)
        {
            return ExitCode.Done;
        }
        catch (Exception failed) when (failed is QmpClientException or QmpCommandException)
        {
            _screen.Error.WriteLine($"rdmamig: {failed.Message}");
            return ((MigrationException)failed).Reason is FailureReason.Disconnected or FailureReason.Refused ? ExitCode.Failed : ExitCode.HostCannot;
        }
    }
}
