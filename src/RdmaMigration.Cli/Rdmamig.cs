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
using RdmaMigration.Cli.Remote;
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
        RootCommand root = CreateRoot(screen);
        ParserConfiguration parser = new() { ResponseFileTokenReplacer = null };
        ParseResult parsed = root.Parse(arguments, parser);
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

        IReadOnlyList<string> misconfigured = [];
        if (parsed is { CommandResult.Command: ServeCommand { Settings: { } settings }, Action: not HelpPage })
        {
            parsed = root.Parse([.. arguments, .. settings.Read(parsed)], parser);
            misconfigured = settings.Errors;
        }

        if (misconfigured.Count > 0)
        {
            return RefuseUsage(parsed, misconfigured, screen);
        }

        if (parsed.Errors.Count > 0)
        {
            // A command that does not exist is the whole story; that one is required follows from it.
            bool unknown = parsed.CommandResult.Command is RootCommand && parsed.UnmatchedTokens.Count > 0;
            return RefuseUsage(
                parsed, unknown ? [$"'{parsed.UnmatchedTokens[0]}' is not a command"] : parsed.Errors.Select(error => error.Message), screen);
        }

        return parsed.Invoke(configuration);
    }

    private static int RefuseUsage(ParseResult parsed, IEnumerable<string> messages, Screen screen)
    {
        foreach (string message in messages)
        {
            screen.Error.WriteLine($"rdmamig: {message}");
        }

        screen.Error.WriteLine($"Try '{Path(parsed.CommandResult.Command)} --help'.");
        return ExitCode.Usage;
    }

    /// <summary>The whole command tree. Man pages and completions are generated from it too.</summary>
    public static RootCommand CreateRoot(Screen screen)
    {
        ReceiveCommand receive = new(screen);
        SendCommand send = new(screen);
        RelayCommand relay = new(screen);
        ServeCommand serve = new(screen);
        MigrateCommand migrate = new(screen);
        TopCommand top = new(screen);
        QemuCommand qemu = new(screen);
        GuestCommand guest = new(screen);
        Command doctor = DoctorCommand.Create(screen);
        Command inspect = InspectCommand.Create(screen);
        RootCommand root = new("Saves running QEMU machines to files over RDMA, sends or relays them, drives and shows migrations, and inspects streams.")
        {
            receive,
            send,
            relay,
            serve,
            migrate,
            top,
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
            [migrate] = MigrateCommand.Examples,
            [top] = TopCommand.Examples,
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

    /// <summary>What a user types to run the command.</summary>
    public static string Path(Command command) => command is RootCommand ? "rdmamig" : $"rdmamig {command.Name}";

    private static string Shorten(string version)
    {
        const int digits = 12;
        int commit = version.IndexOf('+') + 1;
        return commit > 0 && version.Length > commit + digits ? version[..(commit + digits)] : version;
    }

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
