using System.Globalization;
using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>An event that the server sends.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Data">Its data.</param>
internal sealed record QmpEventType(string Name, QmpObject Data);

/// <summary>
/// Writes the value of query-qmp-schema: the commands, the events, and each type that they reach. As in QEMU, types but the built-in ones have numbers instead
/// of names, which clients must not depend on.
/// </summary>
internal sealed class QmpSchema
{
    /// <summary>The type of the value, as it describes itself.</summary>
    public static QmpType Type { get; } = DescribeSelf();

    private readonly Dictionary<QmpType, string> _names = new(ReferenceEqualityComparer.Instance);
    private readonly Queue<QmpType> _undescribed = new();

    private QmpSchema()
    {
    }

    /// <summary>Writes it.</summary>
    /// <param name="writer">Takes it.</param>
    /// <param name="commands">All commands.</param>
    /// <param name="events">All events.</param>
    public static void Write(Utf8JsonWriter writer, IEnumerable<QmpCommand> commands, IEnumerable<QmpEventType> events)
    {
        QmpSchema schema = new();
        writer.WriteStartArray();
        foreach (QmpCommand command in commands)
        {
            // Another process knows the arguments of the others.
            if (command.Arguments is not { } arguments)
            {
                continue;
            }

            writer.WriteStartObject();
            writer.WriteString("name", command.Name);
            writer.WriteString("ret-type", schema.NameOf(command.Returns));
            writer.WriteString("meta-type", "command");
            if (command.AllowsOob)
            {
                writer.WriteBoolean("allow-oob", true);
            }

            writer.WriteString("arg-type", schema.NameOf(arguments));
            writer.WriteEndObject();
        }

        foreach (QmpEventType sent in events)
        {
            writer.WriteStartObject();
            writer.WriteString("name", sent.Name);
            writer.WriteString("meta-type", "event");
            writer.WriteString("arg-type", schema.NameOf(sent.Data));
            writer.WriteEndObject();
        }

        while (schema._undescribed.TryDequeue(out QmpType? type))
        {
            writer.WriteStartObject();
            writer.WriteString("name", schema.NameOf(type));
            type.Describe(writer, schema.NameOf);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private string NameOf(QmpType type)
    {
        if (_names.TryGetValue(type, out string? name))
        {
            return name;
        }

        name = type switch
        {
            QmpBuiltin builtin => builtin.Name,
            QmpArray array => $"[{NameOf(array.Element)}]",
            _ => _names.Count.ToString(CultureInfo.InvariantCulture),
        };

        // Arrays of the same type have the same name, and are described once.
        if (!_names.ContainsValue(name))
        {
            _undescribed.Enqueue(type);
        }

        _names[type] = name;
        return name;
    }

    private static QmpArray DescribeSelf()
    {
        QmpArray strings = new(QmpType.String);
        QmpArray members = new(new QmpObject(
            new QmpMember("name", QmpType.String), new QmpMember("type", QmpType.String), QmpMember.Optional("default", QmpType.Any)));
        return new QmpArray(new QmpObject(
            new QmpMember("name", QmpType.String),
            new QmpMember("meta-type", new QmpEnum("builtin", "enum", "array", "object", "alternate", "command", "event")))
        {
            Tag = "meta-type",
            Variants =
            [
                ("builtin", new QmpObject(new QmpMember("json-type", new QmpEnum("string", "number", "int", "boolean", "null", "object", "array", "value")))),
                ("enum", new QmpObject(
                    new QmpMember("members", new QmpArray(new QmpObject(new QmpMember("name", QmpType.String)))), new QmpMember("values", strings))),
                ("array", new QmpObject(new QmpMember("element-type", QmpType.String))),
                ("object", new QmpObject(
                    new QmpMember("members", members),
                    QmpMember.Optional("tag", QmpType.String),
                    QmpMember.Optional("variants", new QmpArray(new QmpObject(
                        new QmpMember("case", QmpType.String), new QmpMember("type", QmpType.String)))))),
                ("alternate", new QmpObject(new QmpMember("members", new QmpArray(new QmpObject(new QmpMember("type", QmpType.String)))))),
                ("command", new QmpObject(
                    new QmpMember("arg-type", QmpType.String),
                    new QmpMember("ret-type", QmpType.String),
                    QmpMember.Optional("allow-oob", QmpType.Boolean))),
                ("event", new QmpObject(new QmpMember("arg-type", QmpType.String))),
            ],
        });
    }
}
