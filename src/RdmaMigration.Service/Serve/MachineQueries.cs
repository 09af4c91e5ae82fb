using System.Text.Json;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>
/// What libvirt asks of each machine around a migration. The machine does not run here and has no devices of this process: lists are empty, and actions that
/// are set have no effect.
/// </summary>
/// <param name="profile">The version.</param>
internal sealed class MachineQueries(QemuProfile profile)
{
    private static readonly QmpMember s_flat = QmpMember.Optional("flat", QmpType.Boolean);

    /// <summary>The rows of the table.</summary>
    public IReadOnlyList<QmpCommand> Rows =>
    [
        Empty("query-chardev"),
        Empty("query-hotpluggable-cpus"),
        Empty("query-cpus-fast"),
        Empty("query-iothreads"),
        Empty("query-block", profile.Version.Major >= 11 ? [s_flat] : []),
        Empty("query-named-block-nodes", s_flat),
        Empty("query-blockstats", QmpMember.Optional("query-nodes", QmpType.Boolean)),
        Statistics(),
        Empty("query-stats-schemas", QmpMember.Optional("provider", Providers)),
        Empty("qom-list", new QmpMember("path", QmpType.String)),
        .. profile.Version.Major >= 11 ? (QmpCommand[])[Properties()] : [],
        .. profile.Version.Major >= 10 ? (QmpCommand[])[SetActive()] : [],
        Take(
            "set-action",
            QmpMember.Optional("reboot", new QmpEnum("reset", "shutdown")),
            QmpMember.Optional("shutdown", new QmpEnum("poweroff", "pause")),
            QmpMember.Optional("panic", new QmpEnum("pause", "shutdown", "exit-failure", "none")),
            QmpMember.Optional("watchdog", new QmpEnum("reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi"))),
        new("query-command-line-options", CommandLineOptions)
        {
            Arguments = new QmpObject(QmpMember.Optional("option", QmpType.String)),
            Returns = new QmpArray(new QmpObject(new("option", QmpType.String), new("parameters", new QmpArray(QmpType.Any)))),
        },
    ];

    private QmpEnum Providers => profile.Version.Major >= 10 ? new("kvm", "cryptodev") : new("kvm");

    private static QmpCommand Empty(string name, params QmpMember[] arguments) =>
        Take(name, arguments) with { Returns = new QmpArray(QmpType.Any), Run = (given, _) => Read(given, arguments, WriteEmpty) };

    private static QmpCommand Take(string name, params QmpMember[] arguments) =>
        new(name, (given, _) => Read(given, arguments, write: null)) { Arguments = new QmpObject(arguments) };

    private static Action<Utf8JsonWriter>? Read(QmpArguments given, QmpMember[] arguments, Action<Utf8JsonWriter>? write)
    {
        foreach (QmpMember argument in arguments)
        {
            _ = given.OptionalValue(argument.Name);
        }

        given.End();
        return write;
    }

    /// <summary>query-stats: no provider has statistics of this process.</summary>
    private QmpCommand Statistics()
    {
        QmpMember[] arguments =
        [
            new("target", profile.Version.Major >= 10 ? new QmpEnum("vm", "vcpu", "cryptodev") : new QmpEnum("vm", "vcpu")),
            QmpMember.Optional(
                "providers", new QmpArray(new QmpObject(new("provider", Providers), QmpMember.Optional("names", new QmpArray(QmpType.String))))),
        ];
        QmpMember[] ofProcessors = [QmpMember.Optional("vcpus", new QmpArray(QmpType.String))];
        return Empty("query-stats", [.. arguments, .. ofProcessors]) with
        {
            Arguments = new QmpObject(arguments) { Tag = "target", Variants = [("vcpu", new QmpObject(ofProcessors))] },
        };
    }

    /// <summary>libvirt 12 sends it before it migrates a machine away, to activate its disks. This process opens none, so it has no effect.</summary>
    private static QmpCommand SetActive() =>
        Take("blockdev-set-active", QmpMember.Optional("node-name", QmpType.String), new QmpMember("active", QmpType.Boolean));

    /// <summary>qom-list-get: one entry for each path.</summary>
    private static QmpCommand Properties() => new("qom-list-get", (given, _) =>
    {
        int paths = given.RequiredStrings("paths").Count;
        given.End();
        return writer =>
        {
            writer.WriteStartArray();
            for (int i = 0; i < paths; i++)
            {
                writer.WriteStartObject();
                writer.WriteStartArray("properties");
                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        };
    })
    {
        Arguments = new QmpObject(new QmpMember("paths", new QmpArray(QmpType.String))),
        Returns = new QmpArray(new QmpObject(new QmpMember("properties", new QmpArray(QmpType.Any)))),
    };

    /// <summary>The command line of a service has no option of QEMU's form.</summary>
    private static Action<Utf8JsonWriter> CommandLineOptions(QmpArguments arguments, QmpSession session)
    {
        string? option = arguments.OptionalString("option");
        arguments.End();
        return option is null ? WriteEmpty : throw new QmpException($"invalid option name: {option}");
    }

    private static void WriteEmpty(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        writer.WriteEndArray();
    }
}
