using System.Text.Json;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>Commands of postcopy, COLO and dirty rates, which a service does not have. They answer as a QEMU in which these are off.</summary>
/// <param name="profile">The version.</param>
internal sealed class AbsentFeatures(QemuProfile profile)
{
    private static readonly QmpEnum s_mode = new("none", "primary", "secondary");

    private static readonly QmpObject s_coloStatus = new(
        new("mode", s_mode), new("last-mode", s_mode), new("reason", new QmpEnum("none", "request", "error", "processing")));

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
        writer =>
        {
            writer.WriteStartArray();
            writer.WriteEndArray();
        });

    private static void WriteColoStatus(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("last-mode", "none");
        writer.WriteString("mode", "none");
        writer.WriteString("reason", "none");
        writer.WriteEndObject();
    }
}
