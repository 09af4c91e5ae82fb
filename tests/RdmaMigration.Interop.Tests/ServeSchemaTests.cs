using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>query-qmp-schema of a service: it is QEMU's, less what a service does not have, and replies and events are as it says.</summary>
[Trait("needs", "qemu")]
public sealed class ServeSchemaTests : ReceiverTests
{
    /// <summary>What a QEMU declares for a command of the service and the service does not, by command and the beginning of the member.</summary>
    private static readonly (string Command, string Member, string Reason)[] s_onlyInQemu =
    [
        ("migrate-set-parameters", ".block-bitmap-mapping", "there are no block devices"),
        ("query-migrate-parameters", ".block-bitmap-mapping", "there are no block devices"),
        ("query-migrate", ".disk", "there are no block devices"),
        ("query-migrate", ".vfio", "there are no devices"),
        ("query-migrate", ".xbzrle-cache", "the capability cannot be enabled"),
        ("query-migrate", ".compression", "the capability cannot be enabled"),
        ("query-migrate", ".blocked-reasons", "nothing blocks a migration"),
        ("query-migrate", ".postcopy-", "no postcopy"),
        ("query-migrate", ".status?: 'postcopy-", "no postcopy"),
        ("query-migrate", ".status?: 'colo'", "no COLO"),
        ("query-migrate", ".status?: 'wait-unplug'", "there are no devices"),
        ("query-migrate", ".socket-address", "addresses are IP and port, or a path"),
        ("migrate-continue", ".state: 'postcopy-", "no postcopy"),
        ("migrate-continue", ".state: 'colo'", "no COLO"),
        ("migrate-continue", ".state: 'wait-unplug'", "there are no devices"),
        ("MIGRATION", ".status: 'postcopy-", "no postcopy"),
        ("MIGRATION", ".status: 'colo'", "no COLO"),
        ("MIGRATION", ".status: 'wait-unplug'", "there are no devices"),
        ("query-status", ".status", "the machine does not run"),
        ("SHUTDOWN", ".reason", "the machine does not run"),
        ("query-qmp-schema", "", "the service has no features of types"),
        ("object-add", "", "there are only the objects that TLS needs"),
        ("query-chardev", "", "the list is empty"),
        ("query-hotpluggable-cpus", "", "the list is empty"),
        ("query-cpus-fast", "", "the list is empty"),
        ("query-iothreads", "", "the list is empty"),
        ("query-block", "", "the list is empty"),
        ("query-named-block-nodes", "", "the list is empty"),
        ("query-blockstats", "", "the list is empty"),
        ("query-stats", "[]", "the list is empty"),
        ("query-stats-schemas", "[]", "the list is empty"),
        ("qom-list", "", "the list is empty"),
        ("query-command-line-options", "", "the list is empty"),
        ("query-migrate", ".dirty-limit-", "the machine does not run"),
        ("migrate-set-parameters", ".mode?: 'cpr-", "no CPR"),
        ("query-migrate-parameters", ".mode?: 'cpr-", "no CPR"),
        ("query-migrate-parameters", ".tls-creds?: null", "QEMU never returns it"),
        ("query-migrate-parameters", ".tls-hostname?: null", "QEMU never returns it"),
        ("query-migrate-parameters", ".tls-authz?: null", "QEMU never returns it"),
        .. ChannelsOnlyInQemu("migrate"),
        .. ChannelsOnlyInQemu("migrate-incoming"),
    ];

    /// <summary>The commands of the section "Migration" of QEMU's schema, of all versions that have a profile.</summary>
    private static readonly string[] s_migrationCommands =
    [
        "query-migrate", "migrate-set-capabilities", "query-migrate-capabilities", "migrate-set-parameters", "query-migrate-parameters",
        "migrate-start-postcopy", "x-colo-lost-heartbeat", "migrate_cancel", "migrate-continue", "migrate", "migrate-incoming", "xen-save-devices-state",
        "xen-set-global-dirty-log", "xen-load-devices-state", "xen-set-replication", "query-xen-replication-status", "xen-colo-do-checkpoint",
        "query-colo-status", "migrate-recover", "migrate-pause", "calc-dirty-rate", "query-dirty-rate", "set-vcpu-dirty-limit", "cancel-vcpu-dirty-limit",
        "query-vcpu-dirty-limit", "query-migrationthreads", "snapshot-save", "snapshot-load", "snapshot-delete", "client_migrate_info", "announce-self",
    ];

    /// <summary>Those of them that a service does not have. The README has the same list.</summary>
    private static readonly (string Command, string Reason)[] s_absent =
    [
        ("calc-dirty-rate", "the machine does not run, or its program has no page sampling"),
        ("set-vcpu-dirty-limit", "there are no vCPUs"),
        ("cancel-vcpu-dirty-limit", "there are no vCPUs"),
        ("snapshot-save", "there are no block devices"),
        ("snapshot-load", "there are no block devices"),
        ("snapshot-delete", "there are no block devices"),
        ("xen-save-devices-state", "no Xen"),
        ("xen-set-global-dirty-log", "no Xen"),
        ("xen-load-devices-state", "no Xen"),
        ("xen-set-replication", "no replication of block devices"),
        ("query-xen-replication-status", "no replication of block devices"),
        ("xen-colo-do-checkpoint", "no replication of block devices"),
        ("client_migrate_info", "no SPICE"),
        ("announce-self", "there are no network devices"),
    ];

    [Theory]
    [InlineData("7.2", "")]
    [InlineData("10.0", "trixie")]
    public async Task Each_migration_command_of_QEMU_is_there_or_in_the_list_of_absent_ones(string profile, string release)
    {
        await using QemuMachine qemu = await QemuMachine.StartAsync(NewMachine(release, "pc", 8));
        await using ServeProcess service = await ServeProcess.StartAsync("--profile", profile);
        string[] expected = [.. Names(await qemu.Monitor.ExecuteAsync("query-commands")).Intersect(s_migrationCommands)];
        IEnumerable<string> actual = Names(await service.Monitor.ExecuteAsync("query-commands"));
        IEnumerable<string> listed = s_absent.Select(row => row.Command);

        Assert.Equal(expected.Except(actual), expected.Intersect(listed));
        Assert.Empty(listed.Except(s_migrationCommands));
        Assert.All(listed, name => Assert.Contains($"`{name}`", Readme(), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("7.2", "")]
    [InlineData("10.0", "trixie")]
    public async Task The_schema_is_QEMUs_less_what_a_service_has_not(string profile, string release)
    {
        await using QemuMachine qemu = await QemuMachine.StartAsync(NewMachine(release, "pc", 8));
        await using ServeProcess service = await ServeProcess.StartAsync("--profile", profile);
        QmpShapes expected = new(await qemu.Monitor.ExecuteAsync("query-qmp-schema"));
        QmpShapes actual = new(await service.Monitor.ExecuteAsync("query-qmp-schema"));

        string[] commands = [.. actual.Commands.Where(name => !name.StartsWith("x-rdmamig-", StringComparison.Ordinal))];
        Assert.Empty(commands.Except(expected.Commands));
        Assert.Empty(actual.Events.Except(expected.Events));
        Assert.Equal(
            Names(await service.Monitor.ExecuteAsync("query-commands")), actual.Commands.Order(StringComparer.Ordinal));
        Assert.All(commands, name => Assert.Equal(expected.AllowsOob(name), actual.AllowsOob(name)));
        Assert.Empty(commands.Concat(actual.Events).SelectMany(name => Differences(name, expected.Arguments(name), actual.Arguments(name))));
        Assert.Empty(commands.SelectMany(name => Differences(name, expected.Replies(name), actual.Replies(name))));
    }

    /// <summary>QEMU 11.1 is not on every host, so what it declares for these commands and events is in a list, one member a line.</summary>
    [Fact]
    public async Task The_schema_is_that_of_QEMU_11_1_less_what_a_service_has_not()
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--profile", "11.1");
        QmpShapes actual = new(await service.Monitor.ExecuteAsync("query-qmp-schema"));
        (string Name, string What, string Member)[] recorded =
            [.. Recorded().Select(line => line.Split(' ', 3)).Select(words => (words[0], words[1], words[2]))];

        Assert.Empty(recorded.Select(row => row.Name).Distinct().Except(actual.Commands).Except(actual.Events));
        Assert.Empty(Rows("takes").SelectMany(row => Differences(row.Name, row.Members, actual.Arguments(row.Name))));
        Assert.Empty(Rows("returns").SelectMany(row => Differences(row.Name, row.Members, actual.Replies(row.Name))));

        IEnumerable<(string Name, HashSet<string> Members)> Rows(string what) =>
            recorded.Where(row => row.What == what).GroupBy(row => row.Name).Select(rows => (rows.Key, rows.Select(row => row.Member).ToHashSet()));
    }

    [Theory]
    [InlineData("7.2", ".uri: string", null)]
    [InlineData("10.0", ".uri?: string", ".channels?[].addr(socket)(fd).str: string")]
    [InlineData("11.1", ".uri?: string", ".channels?[].addr(file).offset: int")]
    public async Task Clients_find_what_migrate_takes(string profile, string uri, string? channel)
    {
        await using ServeProcess service = await ServeProcess.StartAsync("--profile", profile);
        QmpShapes schema = new(await service.Monitor.ExecuteAsync("query-qmp-schema"));
        Assert.Contains(uri, schema.Arguments("migrate"));
        Assert.Equal(channel is not null, schema.Arguments("migrate").Any(line => line.StartsWith(".channels", StringComparison.Ordinal)));
        Assert.True(channel is null || schema.Arguments("migrate").Contains(channel));
        Assert.Equal(profile == "11.1", schema.Arguments("migrate-set-parameters").Contains(".x-rdma-chunk-size?: int"));
        Assert.Equal(profile == "10.0", schema.Commands.Contains("query-migrationthreads"));
    }

    [Theory]
    [InlineData("7.2")]
    [InlineData("10.0")]
    [InlineData("11.1")]
    public async Task Replies_and_events_are_as_the_schema_says(string profile)
    {
        await using QemuMachine source = await StartSourceAsync("pc", 16);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer", "--profile", profile);
        QmpClient monitor = service.Monitor;
        QmpShapes schema = new(await monitor.ExecuteAsync("query-qmp-schema"));
        Assert.Empty(await ViolationsAsync(monitor, schema));
        await QmpMove.EnableAsync(monitor, "events");
        string uri = await QmpMove.ListenAsync(monitor, "tcp:127.0.0.1:0");
        Assert.Empty(await ViolationsAsync(monitor, schema));
        await QmpMove.SendAsync(source.Monitor, uri);
        await QmpMove.EndAsync(monitor);

        await QmpMove.EnableAsync(monitor, "pause-before-switchover");
        await using QemuMachine arrived = await QemuMachine.StartAsync(NewMachine("pc", 16) with { Incoming = "defer" });
        int from = monitor.Events.Count;
        await monitor.ExecuteAsync("migrate", new { uri = await arrived.ListenAsync("tcp:127.0.0.1:0") });
        await monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
        Assert.Empty(await ViolationsAsync(monitor, schema));
        await monitor.ExecuteAsync("migrate-continue", new { state = "pre-switchover" });
        await QmpMove.EndAsync(monitor, from);
        Assert.Empty(await ViolationsAsync(monitor, schema));
        await monitor.ExecuteAsync("migrate-set-parameters", await monitor.ExecuteAsync("query-migrate-parameters"));
        await monitor.ExecuteAsync("quit");
        Assert.Equal(0, await service.Process.WaitForExitAsync(Deadlines.Answer));

        QmpEvent[] events = [.. monitor.Events.Snapshot()];
        Assert.Contains(events, said => said.Name == "SHUTDOWN");
        Assert.Empty(events.Where(said => said.Values.ValueKind is not JsonValueKind.Undefined)
            .SelectMany(said => schema.Violations(said.Name, said.Values, "arg-type")));
    }

    private static async Task<string[]> ViolationsAsync(QmpClient monitor, QmpShapes schema)
    {
        List<string> found = [];
        foreach (string name in schema.Commands.Where(name => name.StartsWith("query-", StringComparison.Ordinal)))
        {
            found.AddRange(schema.Violations(name, await monitor.ExecuteAsync(name, name == "query-stats" ? new { target = "vm" } : null)));
        }

        return [.. found];
    }

    private static IEnumerable<(string Command, string Member, string Reason)> ChannelsOnlyInQemu(string command)
    {
        foreach (string network in (string[])["addr(rdma)", "addr(socket)(inet)"])
        {
            foreach (string option in (string[])["keep-alive", "mptcp?", "numeric?", "to?"])
            {
                yield return (command, $".channels?[].{network}.{option}", "a service sets no options of sockets");
            }
        }

        yield return (command, ".channels?[].addr(socket)(unix).abstract?", "a path is a file");
        yield return (command, ".channels?[].addr(socket)(unix).tight?", "a path is a file");
        yield return (command, ".channels?[].addr(socket)(vsock)", "no vsock");
        yield return (command, ".channels?[].addr(socket).type: 'vsock'", "no vsock");
        yield return (command, ".channels?[].channel-type: 'cpr'", "no CPR");
    }

    /// <summary>What only one of the two has, less what is known to be in QEMU only, and lists that are empty in a service.</summary>
    private static IEnumerable<string> Differences(string name, IReadOnlySet<string> expected, IReadOnlySet<string> actual) =>
    [
        .. expected.Except(actual)
            .Where(line => !s_onlyInQemu.Any(known => known.Command == name && line.StartsWith(known.Member, StringComparison.Ordinal)))
            .Select(line => $"only in QEMU: {name} {line}"),
        .. actual.Except(expected).Where(line => !line.EndsWith("[]: value", StringComparison.Ordinal)).Select(line => $"only here: {name} {line}"),
    ];

    private static string Readme() => File.ReadAllText(Path.Combine(Executables.RepositoryRoot, "src", "RdmaMigration.Service", "README.md"));

    private static string[] Recorded()
    {
        using StreamReader lines = new(typeof(ServeSchemaTests).Assembly.GetManifestResourceStream("qemu-11.1.schema")!);
        return lines.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static IEnumerable<string> Names(JsonElement commands) =>
        commands.EnumerateArray().Select(command => command.GetProperty("name").GetString()!).Order(StringComparer.Ordinal);
}
