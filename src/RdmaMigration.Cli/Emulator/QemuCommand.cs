using System.Collections;
using System.CommandLine;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Service;

namespace RdmaMigration.Cli.Emulator;

/// <summary>
/// <c>rdmamig qemu -- ARGUMENTS</c>: what libvirt starts in QEMU's place. With -incoming it is a service whose devices a real QEMU describes; without, it
/// becomes the real QEMU.
/// </summary>
internal sealed class QemuCommand : MigrationCommand
{
    private const string DefaultEmulator = "qemu-system-x86_64";

    private readonly Option<string> _emulator = new("--emulator")
    {
        Description = "The real QEMU, a path or a name on PATH",
        HelpName = "PATH",
        DefaultValueFactory = _ => DefaultEmulator,
    };

    private readonly ParameterOptions _parameters = new(MigrationSide.Both);

    private readonly Argument<string[]> _arguments = new("ARGUMENTS")
    {
        Description = "QEMU's command line, behind --",
        Arity = ArgumentArity.ZeroOrMore,
    };

    public QemuCommand(Screen screen)
        : base(
            screen,
            "qemu",
            "Acts as libvirt's emulator: with -incoming, receives the machine and keeps it in memory; otherwise executes the real QEMU.",
            "LISTENING, MIGRATION, PROGRESS, RESULT")
    {
        Add(_emulator);
        _parameters.AddTo(Options);
        AddHostOptions();
        Add(_arguments);
    }

    public static string[] Examples { get; } =
    [
        "rdmamig qemu -- -version                                                   # the real QEMU's answer",
        "rdmamig qemu --emulator /usr/bin/qemu-system-x86_64.distrib -- \"$@\"       # in a script that is libvirt's <emulator>",
    ];

    protected override int Run(ParseResult parsed)
    {
        string[] arguments = parsed.GetValue(_arguments) ?? [];
        string name = parsed.GetRequiredValue(_emulator);
        if (Environment.GetEnvironmentVariable(DeviceModel.Marker) is not null)
        {
            return HostCannot($"the emulator '{name}' leads back to rdmamig; set --emulator to the real QEMU", uri: null);
        }

        if (Find(name) is not { } emulator)
        {
            return HostCannot($"there is no program '{name}'; set --emulator to the real QEMU", uri: null);
        }

        if (!EmulatorArguments.HaveIncoming(arguments))
        {
            return Become(emulator, arguments);
        }

        try
        {
            return Serve(parsed, emulator, EmulatorArguments.Read(arguments));
        }
        catch (FormatException unsupported)
        {
            Screen.Error.WriteLine($"rdmamig: QEMU's command line: {unsupported.Message}");
            return ExitCode.Usage;
        }
        catch (MigrationException cannot)
        {
            return HostCannot(cannot.Message, uri: null);
        }
    }

    private int Serve(ParseResult parsed, string emulator, EmulatorArguments machine)
    {
        using DeviceModel devices = DeviceModel.Start(emulator, machine);
        ServeOptions options = new()
        {
            Monitor = machine.Monitor,
            Incoming = machine.Source,
            IsPaused = machine.IsPaused,
            Name = machine.Name,
            Profile = QemuProfile.Of(devices.Version),
            Package = $"rdmamig {Rdmamig.Version}",
            Parameters = _parameters.Read(parsed),
            DeviceModel = devices,
        };
        return RunHost(
            parsed,
            machine.Source.Uri,
            json => _parameters.WriteTo(json, options.Parameters, machine.Source.Uri, destination: null),
            (level, observer, logging) => new ServeHost(options, observer, level, logging));
    }

    private int Become(string emulator, string[] arguments)
    {
        IEnumerable<KeyValuePair<string, string>> environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Select(variable => KeyValuePair.Create((string)variable.Key, (string?)variable.Value ?? ""))
            .Append(KeyValuePair.Create(DeviceModel.Marker, "1"));
        CallResult failed = ProgramImage.Replace(emulator, [emulator, .. arguments], environment);
        return HostCannot($"'{emulator}' cannot be run: {failed.Error.Text()}", uri: null);
    }

    private static string? Find(string program) => program.Contains('/', StringComparison.Ordinal)
        ? File.Exists(program) ? program : null
        : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(directory => Path.Combine(directory, program)).FirstOrDefault(File.Exists);
}
