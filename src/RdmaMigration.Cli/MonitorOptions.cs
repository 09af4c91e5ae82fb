using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Qmp;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli;

/// <summary>The options of the commands that serve a QMP monitor.</summary>
internal static class MonitorOptions
{
    private const string MonitorName = "--qmp";
    private const string IncomingName = "--incoming";
    private const string Defer = "defer";

    /// <summary>Where the monitor's clients connect.</summary>
    public static Option<string?> Monitor(string description, bool required = false) =>
        new(MonitorName) { Description = description, HelpName = "PATH|fd:N", Required = required, CustomParser = ReadMonitor };

    /// <summary>Where the machine comes from, or that a command says so.</summary>
    public static Option<ServeIncoming?> Incoming(string description) =>
        new(IncomingName) { Description = description, HelpName = $"{Defer}|URI", CustomParser = ReadIncoming };

    private static string? ReadMonitor(ArgumentResult result)
    {
        string address = result.Tokens[0].Value;
        try
        {
            _ = QmpListener.DescriptorOf(address);
            return address.Length > 0 ? address : SharedOptions.Refuse<string>(result, $"{MonitorName} is empty: it must name a file");
        }
        catch (FormatException malformed)
        {
            return SharedOptions.Refuse<string>(result, $"{MonitorName}: {malformed.Message}");
        }
    }

    private static ServeIncoming? ReadIncoming(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        try
        {
            return new ServeIncoming(text == Defer ? null : MigrationUri.Parse(text));
        }
        catch (FormatException malformed)
        {
            return SharedOptions.Refuse<ServeIncoming>(result, $"{IncomingName}: {malformed.Message}");
        }
    }
}
