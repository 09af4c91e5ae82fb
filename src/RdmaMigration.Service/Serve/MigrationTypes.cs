using RdmaMigration.Engine;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>The types of the arguments and replies of a service's commands, and its events, for one QEMU version.</summary>
internal sealed class MigrationTypes
{
    private static readonly QmpType s_string = QmpType.String;
    private static readonly QmpType s_integer = QmpType.Integer;
    private static readonly QmpType s_boolean = QmpType.Boolean;

    /// <param name="profile">The version.</param>
    /// <param name="capabilities">The names of the capabilities.</param>
    public MigrationTypes(QemuProfile profile, QmpEnum capabilities)
    {
        string[] statuses = [.. Enum.GetValues<MigrationStatus>().Select(status => status.ToQmp()), .. profile.HasFailing ? (string[])["failing"] : []];
        QmpEnum status = new(statuses);
        RunStatus = new QmpObject(
        [
            new("status", new QmpEnum([.. Enum.GetValues<RunState>().Select(state => state.ToQmp())])),
            new("running", s_boolean),
            .. profile.HasSinglestep ? (QmpMember[])[new("singlestep", s_boolean)] : [],
        ]);
        Migration = new QmpObject(
        [
            QmpMember.Optional("status", status),
            QmpMember.Optional("ram", Ram(profile)),
            .. profile.HasRemaining ? (QmpMember[])[QmpMember.Optional("remaining", s_integer)] : [],
            QmpMember.Optional("total-time", s_integer),
            QmpMember.Optional("expected-downtime", s_integer),
            QmpMember.Optional("downtime", s_integer),
            QmpMember.Optional("setup-time", s_integer),
            QmpMember.Optional("cpu-throttle-percentage", s_integer),
            QmpMember.Optional("error-desc", s_string),
            QmpMember.Optional("socket-address", new QmpArray(ListenAddress())),
        ]);
        Capabilities = new QmpArray(new QmpObject(new("capability", capabilities), new("state", s_boolean)));
        SetCapabilities = new QmpObject(new QmpMember("capabilities", Capabilities));
        Continue = new QmpObject(new QmpMember("state", status));
        QmpMember[] address = profile.HasChannels
            ? [QmpMember.Optional("uri", s_string), QmpMember.Optional("channels", new QmpArray(Channel()))]
            : [new("uri", s_string)];
        Migrate = new QmpObject(
        [
            .. address,
            .. profile.HasDetach ? (QmpMember[])[QmpMember.Optional("detach", s_boolean)] : [],
            .. profile.HasBlockMigration ? (QmpMember[])[QmpMember.Optional("blk", s_boolean), QmpMember.Optional("inc", s_boolean)] : [],
            QmpMember.Optional("resume", s_boolean),
        ]);
        MigrateIncoming = new QmpObject(
            [.. address, .. profile.HasExitOnError ? (QmpMember[])[QmpMember.Optional("exit-on-error", s_boolean)] : []]);
        Events =
        [
            new("MIGRATION", new QmpObject(new QmpMember("status", status))),
            new("MIGRATION_PASS", new QmpObject(new QmpMember("pass", s_integer))),
            new("STOP", QmpObject.Empty),
            new("RESUME", QmpObject.Empty),
            new("SHUTDOWN", new QmpObject(new("guest", s_boolean), new("reason", new QmpEnum("host-qmp-quit", "host-signal")))),
        ];
    }

    /// <summary>Of query-name.</summary>
    public static QmpObject Name { get; } = new(QmpMember.Optional("name", s_string));

    /// <summary>Of query-status.</summary>
    public QmpObject RunStatus { get; }

    /// <summary>Of query-migrate.</summary>
    public QmpObject Migration { get; }

    /// <summary>Of query-migrate-capabilities.</summary>
    public QmpArray Capabilities { get; }

    /// <summary>The arguments of migrate-set-capabilities.</summary>
    public QmpObject SetCapabilities { get; }

    /// <summary>The arguments of migrate-continue.</summary>
    public QmpObject Continue { get; }

    /// <summary>The arguments of migrate.</summary>
    public QmpObject Migrate { get; }

    /// <summary>The arguments of migrate-incoming.</summary>
    public QmpObject MigrateIncoming { get; }

    /// <summary>The events.</summary>
    public IReadOnlyList<QmpEventType> Events { get; }

    private static QmpObject Ram(QemuProfile profile) => new(
    [
        new("transferred", s_integer),
        new("remaining", s_integer),
        new("total", s_integer),
        new("duplicate", s_integer),
        .. profile.HasSkippedPages ? (QmpMember[])[new("skipped", s_integer)] : [],
        new("normal", s_integer),
        new("normal-bytes", s_integer),
        new("dirty-pages-rate", s_integer),
        new("mbps", QmpType.Number),
        new("dirty-sync-count", s_integer),
        new("postcopy-requests", s_integer),
        new("page-size", s_integer),
        new("multifd-bytes", s_integer),
        new("pages-per-second", s_integer),
        new("precopy-bytes", s_integer),
        new("downtime-bytes", s_integer),
        new("postcopy-bytes", s_integer),
        new("dirty-sync-missed-zero-copy", s_integer),
    ]);

    private static QmpObject ListenAddress() => new(new QmpMember("type", new QmpEnum("inet", "unix")))
    {
        Tag = "type",
        Variants =
        [
            ("inet", Network()),
            ("unix", new QmpObject(new QmpMember("path", s_string))),
        ],
    };

    private static QmpObject Network() => new(
        new("host", s_string), new("port", s_string), QmpMember.Optional("ipv4", s_boolean), QmpMember.Optional("ipv6", s_boolean));

    private static QmpObject Channel()
    {
        QmpObject network = Network();
        QmpObject socket = new(new QmpMember("type", new QmpEnum("inet", "unix", "fd")))
        {
            Tag = "type",
            Variants =
            [
                ("inet", network),
                ("unix", new QmpObject(new QmpMember("path", s_string))),
                ("fd", new QmpObject(new QmpMember("str", s_string))),
            ],
        };
        QmpObject address = new(new QmpMember("transport", new QmpEnum("socket", "exec", "rdma", "file")))
        {
            Tag = "transport",
            Variants =
            [
                ("socket", socket),
                ("exec", new QmpObject(new QmpMember("args", new QmpArray(s_string)))),
                ("rdma", network),
                ("file", new QmpObject(new("filename", s_string), new("offset", QmpType.Unsigned))),
            ],
        };
        return new QmpObject(new("channel-type", new QmpEnum("main")), new("addr", address));
    }
}
