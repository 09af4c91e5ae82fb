using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>The commands by which clients pass file descriptors. They run on the main loop.</summary>
/// <param name="descriptors">Keeps them.</param>
internal sealed class DescriptorCommands(PassedDescriptors descriptors)
{
    /// <summary>The rows of the table.</summary>
    public IReadOnlyList<QmpCommand> Rows =>
    [
        new("getfd", Get),
        new("closefd", Close),
        new("add-fd", Add),
        new("remove-fd", Remove),
        QmpCommand.Query("query-fdsets", Write),
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
        long? set = arguments.OptionalInteger("fdset-id");
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
            writer.WriteNumber("fdset-id", number);
            writer.WriteEndObject();
        };
    }

    private Action<Utf8JsonWriter>? Remove(QmpArguments arguments, QmpSession session)
    {
        long set = arguments.RequiredInteger("fdset-id");
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
            writer.WriteNumber("fdset-id", number);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static SafeFileHandle Take(QmpSession session) =>
        session.TakeDescriptor() ?? throw new QmpException("No file descriptor supplied via SCM_RIGHTS");
}
