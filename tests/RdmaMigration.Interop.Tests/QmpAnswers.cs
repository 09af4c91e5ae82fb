using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>What a QEMU and a service answer to the same commands at the same moment of a migration.</summary>
internal static class QmpAnswers
{
    /// <summary>migrate-incoming, at any moment but the one at which it is due.</summary>
    public static (string Command, string Arguments) Incoming => ("migrate-incoming", """{"uri":"tcp:127.0.0.1:0"}""");

    /// <summary>Commands that, in this order, change nothing at any moment.</summary>
    private static readonly (string Command, string Arguments)[] s_commands =
    [
        ("query-migrate-parameters", "{}"),
        ("migrate-continue", """{"state":"device"}"""),
        ("query-migrate-capabilities", "{}"),
        ("query-name", "{}"),
        ("query-yank", "{}"),
        ("query-colo-status", "{}"),
        ("query-fdsets", "{}"),
        ("query-dirty-rate", "{}"),
        ("query-dirty-rate", """{"no-such":1}"""),
        ("query-vcpu-dirty-limit", "{}"),
        ("query-blockstats", "{}"),
        ("query-blockstats", """{"query-nodes":true}"""),
        ("query-stats", "{}"),
        ("query-stats", """{"target":"vm"}"""),
        ("query-stats", """{"target":"vm","vcpus":[]}"""),
        ("query-stats", """{"target":"vcpu","providers":[{"provider":"kvm","names":["halt_poll_success_ns"]}]}"""),
        ("query-stats", """{"target":"no-such"}"""),
        ("query-stats-schemas", """{"provider":"kvm"}"""),
        ("query-stats-schemas", """{"provider":"no-such"}"""),
        ("yank", """{"instances":[]}"""),
        ("yank", """{"instances":[{"type":"chardev","id":"nosuch"}]}"""),
        ("yank", """{"instances":[{"type":"chardev"}]}"""),
        ("yank", """{"instances":[{"type":"wrong"}]}"""),
        ("migrate-start-postcopy", "{}"),
        ("migrate-pause", "{}"),
        ("migrate-recover", """{"uri":"tcp:127.0.0.1:1"}"""),
        ("migrate-recover", "{}"),
        ("x-colo-lost-heartbeat", "{}"),
        ("migrate", "{}"),
        ("migrate", """{"uri":"tcp:127.0.0.1:1","resume":"yes"}"""),
        ("migrate-set-parameters", "{}"),
        ("migrate-set-parameters", """{"max-bandwidth":"many"}"""),
        ("migrate-set-parameters", """{"multifd-compression":"none","no-such":1}"""),
        ("migrate-set-capabilities", """{"capabilities":[{"capability":"no-such","state":true}]}"""),
        ("closefd", """{"fdname":"no-such"}"""),
        ("query-command-line-options", """{"option":"incoming"}"""),
        ("human-monitor-command", """{"command-line":"info migrate_parameters"}"""),
        ("human-monitor-command", """{"command-line":"info migrate_capabilities"}"""),
        ("human-monitor-command", """{"command-line":"no such"}"""),
        ("human-monitor-command", """{"command-line":"info no-such"}"""),
        ("human-monitor-command", """{"command-line":""}"""),
        ("human-monitor-command", """{"command-line":"info migrate"}"""),
        ("migrate-incoming", """{"uri":5}"""),
        ("migrate-incoming", """{"uri":"tcp:127.0.0.1:0","no-such":1}"""),
        ("object-add", """{"qom-type":"authz-simple","identity":"CN=a"}"""),
        ("object-add", """{"qom-type":"authz-simple","id":"a"}"""),
        ("object-add", """{"qom-type":"authz-simple","id":"a","identity":5}"""),
        ("object-add", """{"qom-type":"authz-simple","id":"a","identity":"CN=a","no-such":1}"""),
        ("object-add", """{"qom-type":"no-such","id":"a"}"""),
        ("object-add", """{"qom-type":"authz-simple","id":"a","identity":"CN=a"}"""),
        ("object-add", """{"qom-type":"authz-simple","id":"a","identity":"CN=b"}"""),
        ("object-del", """{"id":"a"}"""),
        ("object-del", """{"id":"a"}"""),
        ("object-del", "{}"),
        ("object-del", """{"id":5}"""),
        ("stop", "{}"),
        ("stop", "{}"),
        ("query-status", "{}"),
        ("cont", "{}"),
        ("cont", "{}"),
        ("query-status", "{}"),
    ];

    /// <summary>One line for each command: the events that it causes, then the error, or the value without what the moment decides.</summary>
    public static async Task<string> AtAsync(QmpClient monitor, (string Command, string Arguments)[] further)
    {
        List<string> lines = [];
        foreach ((string command, string arguments) in further.Concat(s_commands))
        {
            int before = monitor.Events.Count;
            using JsonDocument document = JsonDocument.Parse(arguments);
            string answer;
            try
            {
                answer = Describe(command, arguments, await monitor.ExecuteAsync(command, document.RootElement));
            }
            catch (QmpException refused)
            {
                answer = $"{refused.ErrorClass}: {refused.Reason}";
            }

            string events = string.Concat(monitor.Events.Snapshot().Skip(before).Select(said => $"{said.Name} "));
            lines.Add($"\n{command} {arguments}: {events}{answer}");
        }

        return string.Concat(lines);
    }

    private static string Describe(string command, string arguments, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String when arguments.Contains("\"info migrate\"", StringComparison.Ordinal) => Titles(value.GetString()!),
        JsonValueKind.String => Sorted(value.GetString()!.Split("\r\n").Where(line => !line.StartsWith(Limit, StringComparison.Ordinal))),

        // A QEMU's monitor is an instance too.
        JsonValueKind.Array when command == "query-yank" => Sorted(value.EnumerateArray()
            .Select(instance => instance.GetProperty("type").GetString()!).Where(type => type != "chardev")),
        JsonValueKind.Array => Sorted(value.EnumerateArray().Select(item => Sorted(item.EnumerateObject().Select(member => $"{member}")))),

        // A service has no name unless it is given one.
        _ when command == "query-name" => "",
        _ => Sorted(value.EnumerateObject().Where(member => member.Name != Limit).Select(member => $"{member}")),
    };

    // A QEMU limits the bandwidth to begin with; a service does not.
    private const string Limit = "max-bandwidth";

    /// <summary>
    /// The titles of the lines. The first ones in QEMU are settings of the process. In a service no guest writes pages, and none move while a machine is
    /// stopped for its switchover.
    /// </summary>
    private static string Titles(string text) => string.Join(
        ',',
        text.Split("\r\n").Select(line => line.Split(':')[0].TrimEnd()).Where(title => !s_globals.Contains(title) && !s_movesNothing.Contains(title)));

    private static readonly string[] s_movesNothing = ["dirty pages rate", "downtime ram"];

    private static readonly string[] s_globals =
    [
        "globals", "store-global-state", "only-migratable", "send-configuration", "send-section-footer", "send-switchover-start", "decompress-error-check",
        "clear-bitmap-shift",
    ];

    private static string Sorted(IEnumerable<string> items) => string.Join(", ", items.Order(StringComparer.Ordinal));
}
