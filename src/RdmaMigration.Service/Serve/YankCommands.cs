using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>yank and query-yank: a client makes a connection fail that hangs. Out of band too.</summary>
/// <param name="process">Runs migrations.</param>
internal sealed class YankCommands(MachineProcess process)
{
    private const string MigrationName = "migration";

    private static readonly QmpArray s_instances = new(new QmpObject(new QmpMember("type", new QmpEnum("block-node", "chardev", MigrationName)))
    {
        Tag = "type",
        Variants =
        [
            ("block-node", new QmpObject(new QmpMember("node-name", QmpType.String))),
            ("chardev", new QmpObject(new QmpMember("id", QmpType.String))),
            (MigrationName, QmpObject.Empty),
        ],
    });

    /// <summary>The rows of the table.</summary>
    public IReadOnlyList<QmpCommand> Rows =>
    [
        QmpCommand.Query("query-yank", s_instances, Write, allowsOob: true),
        new("yank", Yank, AllowsOob: true) { Arguments = new QmpObject(new QmpMember("instances", s_instances)) },
    ];

    /// <summary>Both may be asked by any thread.</summary>
    private bool HasConnection => process.IsBusy || process.Uri is not null;

    private Action<Utf8JsonWriter>? Yank(QmpArguments arguments, QmpSession session)
    {
        string[] types = [.. arguments.RequiredObjects("instances").Select(instance => instance.RequiredString("type"))];
        arguments.End();
        if (types.Any(type => type != MigrationName || !HasConnection))
        {
            throw new QmpException(QmpErrorClass.DeviceNotFound, "Instance not found");
        }

        if (types.Length > 0)
        {
            process.Yank();
        }

        return null;
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        if (HasConnection)
        {
            writer.WriteStartObject();
            writer.WriteString("type", MigrationName);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
