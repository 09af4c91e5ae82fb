using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Memory;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>
/// human-monitor-command: the lines of QEMU's human monitor about a migration, for people and scripts that read them there. Main thread.
/// </summary>
/// <param name="process">Has the machine.</param>
/// <param name="commands">Have the capabilities, parameters and figures.</param>
/// <param name="profile">The version.</param>
internal sealed class HumanMonitor(MachineProcess process, MigrationCommands commands, QemuProfile profile)
{
    private static readonly Dictionary<string, string> s_units = new(StringComparer.Ordinal)
    {
        ["announce-initial"] = " ms",
        ["announce-max"] = " ms",
        ["announce-step"] = " ms",
        ["downtime-limit"] = " ms",
        ["x-checkpoint-delay"] = " ms",
        ["x-vcpu-dirty-limit-period"] = " ms",
        ["max-bandwidth"] = " bytes/second",
        ["avail-switchover-bandwidth"] = " bytes/second",
        ["xbzrle-cache-size"] = " bytes",
        ["x-rdma-chunk-size"] = " bytes",
        ["vcpu-dirty-limit"] = " MB/s",
    };

    /// <summary>The row of the table.</summary>
    public QmpCommand Row => new("human-monitor-command", Run)
    {
        Arguments = new QmpObject(new("command-line", QmpType.String), QmpMember.Optional("cpu-index", QmpType.Integer)),
        Returns = QmpType.String,
    };

    private Action<Utf8JsonWriter> Run(QmpArguments arguments, QmpSession session)
    {
        string line = arguments.RequiredString("command-line").Trim();
        bool isOtherProcessor = arguments.OptionalInteger("cpu-index") is not (null or 0);
        arguments.End();
        if (isOtherProcessor)
        {
            // The machine's processors do not run here. qmp-shell -H names the first with each line.
            throw new QmpException("Parameter 'cpu-index' expects a CPU number");
        }

        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string text = string.Join(' ', words) switch
        {
            "" => "",
            "info migrate" => Migration(),
            "info migrate_capabilities" => Lines(commands.Capabilities.States.Select(row => $"{row.Name}: {(row.IsEnabled ? "on" : "off")}")),
            "info migrate_parameters" => Lines(commands.Parameters.Values
                .Where(row => !row.Name.StartsWith("multifd-", StringComparison.Ordinal) || !row.Name.EndsWith("-level", StringComparison.Ordinal))
                .Select(row => $"{row.Name}: {Describe(row.Name, row.Value)}")),
            "info ramblock" => Lines([RamHeader(), .. Blocks()]),
            _ => $"unknown command: '{string.Join(' ', words.Take(words[0] == "info" ? 2 : 1))}'\r\n",
        };
        return writer => writer.WriteStringValue(text);
    }

    private string Describe(string name, JsonElement value)
    {
        string text = value.ValueKind switch
        {
            JsonValueKind.True => "on",
            JsonValueKind.False => "off",
            JsonValueKind.String when name.StartsWith("tls-", StringComparison.Ordinal) => $"'{value.GetString()}'",
            JsonValueKind.Array => string.Join(' ', value.EnumerateArray()),
            _ => value.ToString(),
        };
        bool isBandwidth = name == "max-postcopy-bandwidth" && profile.HasNewInfoMigrate;
        return text + (isBandwidth ? " bytes/second" : s_units.GetValueOrDefault(name));
    }

    private string Migration()
    {
        ArrayBufferWriter<byte> value = new();
        using Utf8JsonWriter writer = new(value);
        commands.WriteMigration(writer);
        writer.Flush();
        using JsonDocument migration = JsonDocument.Parse(value.WrittenMemory);
        return profile.HasNewInfoMigrate ? HumanMigration.Describe(migration.RootElement) : HumanMigration.DescribeOld(migration.RootElement);
    }

    private static string RamHeader() => $"{"Block Name",24} {"PSize",8}  {"Offset",18} {"Used",18} {"Total",18}";

    /// <summary>The offsets count the blocks one behind the other: the stream has none.</summary>
    private IEnumerable<string> Blocks()
    {
        ulong offset = 0;
        foreach (RamBlock block in process.Kept is { } machine ? (IReadOnlyList<RamBlock>)machine.Content.RamBlocks : [])
        {
            string page = $"{block.PageSize >> 10} KiB";
            yield return $"{block.Name,24} {page,8}  0x{offset:x16} 0x{block.Length:x16} 0x{block.Length:x16}";
            offset += block.Length;
        }
    }

    private static string Lines(IEnumerable<string> lines) =>
        lines.Aggregate(new StringBuilder(), (text, line) => text.Append(CultureInfo.InvariantCulture, $"{line}\r\n")).ToString();
}
