using System.Text.Json;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>Commands of postcopy, COLO, dirty rates and dirty limits, which a service does not have. They answer as a QEMU in which these are off.</summary>
/// <param name="profile">The version.</param>
internal sealed class AbsentFeatures(QemuProfile profile)
{
    private static readonly QmpEnum s_mode = new("none", "primary", "secondary");

    private static readonly QmpObject s_coloStatus = new(
        new("mode", s_mode), new("last-mode", s_mode), new("reason", new QmpEnum("none", "request", "error", "processing")));

    private static readonly QmpArray s_dirtyLimits = new(new QmpObject(
        new("cpu-index", QmpType.Integer), new("limit-rate", QmpType.Integer), new("current-rate", QmpType.Integer)));

    private readonly bool _isOld = profile.Version.Major < 10;

    /// <summary>The rows of the table.</summary>
    public IReadOnlyList<QmpCommand> Rows =>
    [
        Refuse("migrate-start-postcopy", "Enable postcopy with migrate_set_capability before the start of migration"),
        Refuse(
            "migrate-pause",
            $"migrate-pause is currently only supported during postcopy-active {(_isOld ? "" : "or postcopy-recover ")}state",
            allowsOob: true),
        new("migrate-recover", Recover, AllowsOob: true) { Arguments = new QmpObject(new QmpMember("uri", QmpType.String)) },
        Refuse("x-colo-lost-heartbeat", _isOld ? "The feature 'colo' is not enabled" : "VM is not in COLO mode"),
        QmpCommand.Query("query-colo-status", s_coloStatus, WriteColoStatus),
        DirtyRate(),
        QmpCommand.Query("query-vcpu-dirty-limit", s_dirtyLimits, WriteNothing),
        .. profile.HasMigrationThreads ? (QmpCommand[])[Threads()] : [],
    ];

    private static QmpCommand Refuse(string name, string reason, bool allowsOob = false) =>
        QmpCommand.Act(name, () => throw new QmpException(reason), allowsOob);

    private static Action<Utf8JsonWriter>? Recover(QmpArguments arguments, QmpSession session)
    {
        _ = arguments.RequiredString("uri");
        arguments.End();
        throw new QmpException("Migrate recover can only be run when postcopy is paused.");
    }

    /// <summary>QEMU lists the threads that pin themselves to processors; there is none here.</summary>
    private static QmpCommand Threads() => QmpCommand.Query(
        "query-migrationthreads",
        new QmpArray(new QmpObject(new("name", QmpType.String), new("thread-id", QmpType.Integer))),
        WriteNothing);

    /// <summary>query-dirty-rate: nothing was measured, because calc-dirty-rate measures a machine that runs.</summary>
    private QmpCommand DirtyRate()
    {
        QmpEnum units = new("second", "millisecond");
        return new QmpCommand("query-dirty-rate", (arguments, _) =>
        {
            string? unit = _isOld ? null : arguments.OptionalString("calc-time-unit") ?? "second";
            arguments.End();
            return writer => WriteDirtyRate(writer, unit);
        })
        {
            Arguments = _isOld ? QmpObject.Empty : new QmpObject(QmpMember.Optional("calc-time-unit", units)),
            Returns = new QmpObject(
            [
                QmpMember.Optional("dirty-rate", QmpType.Integer),
                new("status", new QmpEnum("unstarted", "measuring", "measured")),
                new("start-time", QmpType.Integer),
                new("calc-time", QmpType.Integer),
                .. _isOld ? (QmpMember[])[] : [new("calc-time-unit", units)],
                new("sample-pages", QmpType.Integer),
                new("mode", new QmpEnum("page-sampling", "dirty-ring", "dirty-bitmap")),
                QmpMember.Optional("vcpu-dirty-rate", new QmpArray(new QmpObject(new("id", QmpType.Integer), new("dirty-rate", QmpType.Integer)))),
            ]),
        };
    }

    private static void WriteDirtyRate(Utf8JsonWriter writer, string? unit)
    {
        writer.WriteStartObject();
        writer.WriteString("status", "unstarted");
        writer.WriteNumber("sample-pages", 0);
        writer.WriteString("mode", "page-sampling");
        if (unit is not null)
        {
            writer.WriteString("calc-time-unit", unit);
        }

        writer.WriteNumber("start-time", 0);
        writer.WriteNumber("calc-time", 0);
        writer.WriteEndObject();
    }

    private static void WriteNothing(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        writer.WriteEndArray();
    }

    private static void WriteColoStatus(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("last-mode", "none");
        writer.WriteString("mode", "none");
        writer.WriteString("reason", "none");
        writer.WriteEndObject();
    }
}
