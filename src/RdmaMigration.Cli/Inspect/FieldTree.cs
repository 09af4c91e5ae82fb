using System.Globalization;
using RdmaMigration.Streams;

namespace RdmaMigration.Cli.Inspect;

/// <summary>A device's fields with their values, one a line, structs and subsections indented below their name.</summary>
internal static class FieldTree
{
    private const int Indent = 2;
    private const int NameWidth = 32;
    private const int TypeWidth = 14;

    public static void Write(DeviceReport device, TextWriter output)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{device.Name}  instance {device.InstanceId}, version {device.Version}, {device.Length} bytes at 0x{device.Offset:x}"));
        if (device.Problem is not null)
        {
            output.WriteLine($"{new string(' ', Indent)}{device.Problem}");
        }

        if (device.State is not null)
        {
            Write(device.State, output, 1);
        }
    }

    private static void Write(StateReport state, TextWriter output, int depth)
    {
        foreach (FieldReport field in state.Fields)
        {
            Write(field, output, depth);
        }

        foreach (StateReport subsection in state.Subsections)
        {
            output.WriteLine($"{Space(depth)}{subsection.Name}  (subsection, version {subsection.Version})");
            Write(subsection, output, depth + 1);
        }
    }

    private static void Write(FieldReport field, TextWriter output, int depth)
    {
        string type = field.Count == 1 ? field.Type : string.Create(CultureInfo.InvariantCulture, $"{field.Type}[{field.Count}]");
        if (field.Elements.Count == 0)
        {
            output.WriteLine($"{(Space(depth) + field.Name).PadRight(NameWidth)} {type.PadRight(TypeWidth)} {string.Join(' ', field.Values)}".TrimEnd());
            return;
        }

        for (int i = 0; i < field.Elements.Count; i++)
        {
            string name = field.Count == 1 ? field.Name : string.Create(CultureInfo.InvariantCulture, $"{field.Name}[{i}]");
            output.WriteLine($"{(Space(depth) + name).PadRight(NameWidth)} {field.Elements[i].Name}".TrimEnd());
            Write(field.Elements[i], output, depth + 1);
        }

        if ((ulong)field.Elements.Count < field.Count)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Space(depth)}{field.Name}: {field.Count - (ulong)field.Elements.Count} more"));
        }
    }

    private static string Space(int depth) => new(' ', depth * Indent);
}
