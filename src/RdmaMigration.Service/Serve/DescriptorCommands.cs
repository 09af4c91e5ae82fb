using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>The commands by which clients pass file descriptors. They run on the main loop.</summary>
/// <param name="descriptors">Keeps them.</param>
internal sealed class DescriptorCommands(PassedDescriptors descriptors)
{
    private const string SetId = "fdset-id";

    private static readonly QmpObject s_name = new(new QmpMember("fdname", QmpType.String));
    private static readonly QmpMember s_descriptor = new("fd", QmpType.Integer);
    private static readonly QmpMember s_opaque = QmpMember.Optional("opaque", QmpType.String);
    private static readonly QmpArray s_sets = new(new QmpObject(
        new(SetId, QmpType.Integer), new("fds", new QmpArray(new QmpObject(s_descriptor, s_opaque)))));

    /// <summary>The rows of the table.</summary>
    public IReadOnlyList<QmpCommand> Rows =>
    [
        new("getfd", Get) { Arguments = s_name },
        new("closefd", Close) { Arguments = s_name },
        new("add-fd", Add)
        {
            Arguments = new QmpObject(QmpMember.Optional(SetId, QmpType.Integer), s_opaque),
            Returns = new QmpObject(new(SetId, QmpType.Integer), s_descriptor),
        },
        new("remove-fd", Remove) { Arguments = new QmpObject(new(SetId, QmpType.Integer), s_descriptor with { IsOptional = true }) },
        QmpCommand.Query("query-fdsets", s_sets, Write),
    ];

    private Action<Utf8JsonWriter>? Get(QmpArguments arguments, QmpSession session)
    {
        string name = arguments.RequiredString("fdname");
        arguments.End();
        SafeFileHandle handle = Take(session);
        if (name is [>= '0' and <= '9', ..])
        {
            handle.Dispose();
            throw new QmpException("Parameter 'fdname' expects a name not starting with a digit");
        }

        descriptors.Name(name, handle);
        return null;
    }

    private Action<Utf8JsonWriter>? Close(QmpArguments arguments, QmpSession session)
    {
        string name = arguments.RequiredString("fdname");
        arguments.End();
        descriptors.Close(name);
        return null;
    }

    private Action<Utf8JsonWriter> Add(QmpArguments arguments, QmpSession session)
    {
        long? set = arguments.OptionalInteger(SetId);
        string? opaque = arguments.OptionalString("opaque");
        arguments.End();
        SafeFileHandle handle = Take(session);
        if (set is < 0 or > int.MaxValue)
        {
            handle.Dispose();
            throw new QmpException("Parameter 'fdset-id' expects a non-negative value");
        }

        SetDescriptor added = new(handle, opaque);
        int number = descriptors.Add((int?)set, added);
        return writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("fd", added.Number);
            writer.WriteNumber(SetId, number);
            writer.WriteEndObject();
        };
    }

    private Action<Utf8JsonWriter>? Remove(QmpArguments arguments, QmpSession session)
    {
        long set = arguments.RequiredInteger(SetId);
        long? descriptor = arguments.OptionalInteger("fd");
        arguments.End();
        descriptors.Remove(set, descriptor);
        return null;
    }

    private void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        foreach ((int number, List<SetDescriptor> members) in descriptors.Sets)
        {
            writer.WriteStartObject();
            writer.WriteStartArray("fds");
            foreach (SetDescriptor member in members)
            {
                writer.WriteStartObject();
                writer.WriteNumber("fd", member.Number);
                if (member.Opaque is { } opaque)
                {
                    writer.WriteString("opaque", opaque);
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteNumber(SetId, number);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static SafeFileHandle Take(QmpSession session) =>
        session.TakeDescriptor() ?? throw new QmpException("No file descriptor supplied via SCM_RIGHTS");
}
