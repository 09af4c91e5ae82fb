using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Reflection;
using RdmaMigration.Cli.Doctor;
using RdmaMigration.Cli.Emulator;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Cli.Inspect;
using RdmaMigration.Cli.Receive;
using RdmaMigration.Cli.Relay;
using RdmaMigration.Cli.Send;
using RdmaMigration.Cli.Serve;

namespace RdmaMigration.Cli;

/// <summary>The command tree, and the way from a command line to an exit code.</summary>
internal static class Rdmamig
{
    /// <summary>The version, and behind it the start of the commit that it was built from: <c>0.1.0+7af78fed0f18</c>.</summary>
    public static string Version { get; } = Shorten(
        typeof(Rdmamig).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown");

    /// <summary>Parses and runs one command on the calling thread.</summary>
    public static int Run(IReadOnlyList<string> arguments, Screen screen)
    {
        try
        {
            return ParseAndRun(arguments, screen);
        }
        catch (OutputException unwritable)
        {
            screen.Error.WriteLine($"rdmamig: {unwritable.Message}");
            return ExitCode.HostCannot;
        }
    }

    private static int ParseAndRun(IReadOnlyList<string> arguments, Screen screen)
    {
        ParseResult parsed = CreateRoot(screen).Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        InvocationConfiguration configuration = new()
        {
            Output = screen.Out,
            Error = screen.Error,
            EnableDefaultExceptionHandler = false,
            // Signals are the migration's business: a cancel must reach the source before the process ends.
            ProcessTerminationTimeout = null,
        };

        if (arguments.Count == 0)
        {
            parsed.RootCommandResult.Command.Parse(["--help"]).Invoke(new InvocationConfiguration { Output = screen.Error });
            return ExitCode.Usage;
        }

        if (parsed.Errors.Count > 0)
        {
            // A command that does not exist is the whole story; that one is required follows from it.
            bool unknown = parsed.CommandResult.Command is RootCommand && parsed.UnmatchedTokens.Count > 0;
            foreach (string? message in unknown ? [$"'{parsed.UnmatchedTokens[0]}' is not a command"] : parsed.Errors.Select(error => error.Message))
            {
                screen.Error.WriteLine($"rdmamig: {message}");
            }

            screen.Error.WriteLine($"Try '{Path(parsed.CommandResult.Command)} --help'.");
            return ExitCode.Usage;
        }

        return parsed.Invoke(configuration);
    }

    private static RootCommand CreateRoot(Screen screen)
    {
        ReceiveCommand receive = new(screen);
        SendCommand send = new(screen);
        RelayCommand relay = new(screen);
        ServeCommand serve = new(screen);
        QemuCommand qemu = new(screen);
        GuestCommand guest = new(screen);
        Command doctor = DoctorCommand.Create(screen);
        Command inspect = InspectCommand.Create(screen);
        RootCommand root = new("Saves running QEMU machines to files over RDMA, sends or relays them, and inspects streams.")
        {
            receive,
            send,
            relay,
            serve,
            qemu,
            guest,
            inspect,
            doctor,
        };
        Dictionary<Command, string[]> examples = new()
        {
            [receive] = ReceiveCommand.Examples,
            [send] = SendCommand.Examples,
            [relay] = RelayCommand.Examples,
            [serve] = ServeCommand.Examples,
            [qemu] = QemuCommand.Examples,
            [guest] = GuestCommand.Examples,
            [inspect] = InspectCommand.Examples,
            [doctor] = DoctorCommand.Examples,
        };

        foreach (Option option in root.Options)
        {
            switch (option)
            {
                case HelpOption { Action: HelpAction help } helpOption:
                    helpOption.Action = new HelpPage(help, examples);
                    break;
                case VersionOption version:
                    version.Action = new VersionLine();
                    break;
            }
        }

        return root;
    }

    private static string Shorten(string version)
    {
        const int digits = 12;
        int commit = version.IndexOf('+') + 1;
        return commit > 0 && version.Length > commit + digits ? version[..(commit + digits)] : version;
    }

    private static string Path(Command command) =>
        command is RootCommand ? "rdmamig" : $"rdmamig {command.Name}";

    private sealed class VersionLine : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            parseResult.InvocationConfiguration.Output.WriteLine($"rdmamig {Version}");
            return ExitCode.Done;
        }
    }
}
