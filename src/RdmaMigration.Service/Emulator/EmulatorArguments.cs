using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using RdmaMigration.Qmp;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>A command line for QEMU, as libvirt writes it for a machine that comes in.</summary>
internal sealed partial record EmulatorArguments
{
    private const string Incoming = "incoming";
    private const string Defer = "defer";
    private const string Stopped = "S";

    /// <summary>The QMP monitor: a path, or <c>fd:N</c>.</summary>
    public required string Monitor { get; init; }

    /// <summary>Where the machine comes from.</summary>
    public required ServeIncoming Source { get; init; }

    /// <summary>The option -S: the machine does not run before a client continues it.</summary>
    public bool IsPaused { get; init; }

    /// <summary>The machine's name; null for none.</summary>
    public string? Name { get; init; }

    /// <summary>
    /// The command line of the QEMU that answers for the devices: the same machine, which waits for a migration, with its QMP monitor at the standard streams.
    /// </summary>
    public required IReadOnlyList<string> DeviceModel { get; init; }

    /// <summary>The descriptors that <see cref="DeviceModel"/> uses by number.</summary>
    public IReadOnlySet<int> Descriptors => DeviceModel
        .SelectMany(argument => DescriptorValue().Matches(argument))
        .SelectMany(match => match.Groups[1].Value.Split(':'))
        .Select(number => int.Parse(number, CultureInfo.InvariantCulture))
        .ToHashSet();

    /// <summary>True if QEMU waits for a machine with this command line.</summary>
    public static bool HaveIncoming(IReadOnlyList<string> arguments) => arguments.Any(argument => NameOf(argument) == Incoming);

    /// <summary>Reads a command line that has -incoming.</summary>
    /// <exception cref="FormatException">It cannot be served; the message says why.</exception>
    public static EmulatorArguments Read(IReadOnlyList<string> arguments)
    {
        string monitor = MonitorOf(arguments);
        List<string> deviceModel = [.. arguments];
        string? socket = null;
        ServeIncoming? source = null;
        string? name = null;
        for (int i = 0; i + 1 < arguments.Count; i++)
        {
            string value = arguments[i + 1];
            switch (NameOf(arguments[i]))
            {
                case "chardev" when new OptionValues(value) is var chardev && chardev["id"] == monitor:
                    socket = SocketOf(monitor, chardev);
                    deviceModel[i + 1] = $"stdio,id={monitor},signal=off";
                    break;
                case Incoming:
                    source = new ServeIncoming(value == Defer ? null : MigrationUri.Parse(value));
                    deviceModel[i + 1] = Defer;
                    break;
                case "name":
                    name = new OptionValues(value) is var names && names["guest"] is { } guest ? guest : names.Kind;
                    break;
                default:
                    break;
            }
        }

        bool isPaused = arguments.Any(argument => NameOf(argument) == Stopped);
        if (!isPaused)
        {
            deviceModel.Add($"-{Stopped}");
        }

        return new EmulatorArguments
        {
            Monitor = socket ?? throw new FormatException($"there is no -chardev with id={monitor}, which the QMP monitor uses"),
            Source = source ?? throw new FormatException("-incoming has no value"),
            IsPaused = isPaused,
            Name = name,
            DeviceModel = deviceModel,
        };
    }

    /// <summary>The character device of the only QMP monitor.</summary>
    private static string MonitorOf(IReadOnlyList<string> arguments)
    {
        List<string> monitors = [];
        for (int i = 0; i < arguments.Count; i++)
        {
            string value = i + 1 < arguments.Count ? arguments[i + 1] : "";
            string? monitor = NameOf(arguments[i]) switch
            {
                "mon" when new OptionValues(value) is var options && options["mode"] == "control" => options["chardev"] ?? options.Kind,
                "object" => MonitorObject(value),
                "qmp" or "qmp-pretty" => throw new FormatException(
                    $"'{arguments[i]}' is not supported: give the monitor by -chardev and -mon, as libvirt does"),
                "daemonize" => throw new FormatException("-daemonize is not supported"),
                _ => null,
            };
            if (monitor is not null)
            {
                monitors.Add(monitor);
            }
        }

        return monitors is [string only] ? only : throw new FormatException($"there are {monitors.Count} QMP monitors; there must be one");
    }

    /// <summary>The character device of -object monitor-qmp, in JSON or as a list of values; null for another object.</summary>
    private static string? MonitorObject(string value)
    {
        const string kind = "monitor-qmp";
        if (!value.StartsWith('{'))
        {
            OptionValues values = new(value);
            return values.Kind == kind || values["qom-type"] == kind ? values["chardev"] : null;
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(value);
            return document.RootElement.TryGetProperty("qom-type", out JsonElement type) && type.GetString() == kind
                ? document.RootElement.GetProperty("chardev").GetString()
                : null;
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new FormatException($"-object '{value}': {malformed.Message}", malformed);
        }
    }

    private static string SocketOf(string id, OptionValues chardev)
    {
        if (chardev.Kind != "socket" || !chardev.IsOn("server"))
        {
            throw new FormatException($"-chardev id={id}: the QMP monitor must be a socket with server=on");
        }

        return (chardev["path"], chardev["fd"]) switch
        {
            ({ } path, null) => Path.GetFullPath(path),
            (null, { } fd) when int.TryParse(fd, NumberStyles.None, CultureInfo.InvariantCulture, out _) => QmpListener.DescriptorScheme + fd,
            _ => throw new FormatException($"-chardev id={id}: the QMP monitor must have either path=PATH or fd=NUMBER"),
        };
    }

    /// <summary>An option's name; QEMU takes one or two dashes. Null for a value.</summary>
    private static string? NameOf(string argument) =>
        argument.StartsWith("--", StringComparison.Ordinal) ? argument[2..] : argument.StartsWith('-') ? argument[1..] : null;

    /// <summary>fd=3, vhostfds=3:4, "fd":"3" and their like.</summary>
    [GeneratedRegex("""fds?"?[=:]"?([0-9]+(?::[0-9]+)*)""")]
    private static partial Regex DescriptorValue();
}
