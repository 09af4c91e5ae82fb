using System.Text.Json;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop.Metrics;

/// <summary>`rdmamig serve --metrics`, scraped, and read by promtool and a Prometheus server; and the same metrics pushed over OTLP.</summary>
[Trait("needs", "qemu")]
public sealed partial class MetricsTests : ReceiverTests
{
    private const string Anywhere = "tcp:127.0.0.1:0";
    private const string Transferred = "rdmamig_migration_transferred_bytes";
    private const string Ram = "rdmamig_migration_ram_bytes";

    [Fact]
    public async Task A_scrape_shows_what_query_migrate_says_before_during_and_after()
    {
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using ServeProcess service = await ServeProcess.StartAsync(["--incoming", "defer", .. MetricsEndpoint.Options]);
        using MetricsEndpoint metrics = await MetricsEndpoint.OfAsync(service);

        Scrape before = await metrics.ScrapeAsync();
        Assert.Equal("none", before.Status);
        Assert.Equal((0, 0, 1), (before.Value(Ram), before.Value("rdmamig_errors_total", "reason=\"Unreachable\""), before.Value("rdmamig_monitor_clients")));

        await QmpMove.EnableAsync(service.Monitor, "events");
        string uri = await QmpMove.ListenAsync(service.Monitor, Anywhere);
        await source.SetLimitsAsync(8 << 20);
        int from = source.Monitor.Events.Count;
        await source.StartMigrationAsync(uri);
        Scrape during = await metrics.UntilAsync("active", scrape => scrape.Value(Transferred) > 0);
        Assert.Equal("destination", during.Side);
        Assert.InRange(during.Value("rdmamig_migration_remaining_bytes"), 1, during.Value(Ram) - during.Value(Transferred));

        await source.SetLimitsAsync(RdmaAddress.Unlimited);
        await source.MigrationOutcomeAsync(from);
        await QmpMove.EndAsync(service.Monitor);
        JsonElement sent = (await source.Monitor.ExecuteAsync("query-migrate")).GetProperty("ram");
        Scrape after = await metrics.UntilAsync("completed");
        Assert.Equal(
            (sent.GetProperty("total").GetInt64(), sent.GetProperty("normal-bytes").GetInt64(), 0),
            (after.Value(Ram), after.Value(Transferred), after.Value("rdmamig_migration_remaining_bytes")));
        Assert.Equal(1, after.Value("rdmamig_migrations_total", "side=\"destination\"", "status=\"completed\""));
        Assert.Equal(sent.GetProperty("normal-bytes").GetInt64(), after.Value("rdmamig_ram_bytes_total", "side=\"destination\""));
        await NothingIsWrongAsync(after);

        await using QemuMachine next = await QemuMachine.StartAsync(NewMachine("pc", 64) with { Incoming = "defer" });
        await QmpMove.SendAsync(service.Monitor, await next.ListenAsync(Anywhere));
        JsonElement passedOn = (await service.Monitor.ExecuteAsync("query-migrate")).GetProperty("ram");
        Scrape end = await metrics.UntilAsync("completed", scrape => scrape.Side == "source");
        Assert.Equal(
            (passedOn.GetProperty("total").GetInt64(), passedOn.GetProperty("transferred").GetInt64()), (end.Value(Ram), end.Value(Transferred)));
        await NothingIsWrongAsync(end);
    }

    [Fact]
    public async Task A_scrape_of_a_guest_shows_what_query_migrate_says_of_its_move()
    {
        const string iterations = "rdmamig_iterations_total";
        await using ServeProcess destination = await ServeProcess.StartGuestAsync(["--ram", "16M", "--incoming", "defer", .. MetricsEndpoint.Options]);
        await using ServeProcess source = await ServeProcess.StartGuestAsync(["--ram", "16M", "--dirty-rate", "4M", .. MetricsEndpoint.Options]);
        using MetricsEndpoint sending = await MetricsEndpoint.OfAsync(source);
        using MetricsEndpoint receiving = await MetricsEndpoint.OfAsync(destination);
        Scrape before = await sending.ScrapeAsync();
        Assert.Equal(("none", 1, 0), (before.Status, before.Value("rdmamig_monitor_clients"), before.Value(iterations)));

        await QmpMove.RunAsync(source.Monitor, destination.Monitor, Anywhere, "return-path");

        JsonElement sent = await source.Monitor.ExecuteAsync("query-migrate");
        JsonElement ram = sent.GetProperty("ram");
        Scrape after = await sending.UntilAsync("completed");
        Assert.Equal(
            ("source", 16 << 20, ram.GetProperty("transferred").GetInt64(), ram.GetProperty("dirty-sync-count").GetInt32()),
            (after.Side, after.Value(Ram), after.Value(Transferred), after.Value(iterations)));
        Assert.InRange(after.Value("rdmamig_migration_downtime_seconds") * 1000 - sent.GetProperty("downtime").GetInt64(), -0.01, 1);
        Assert.Equal(1, after.Value("rdmamig_downtime_seconds_count"));
        Scrape arrived = await receiving.UntilAsync("completed");
        Assert.Equal(
            ("destination", 16 << 20, 1),
            (arrived.Side, arrived.Value(Ram), arrived.Value("rdmamig_migrations_total", "side=\"destination\"", "status=\"completed\"")));
        await NothingIsWrongAsync(after);
        await NothingIsWrongAsync(arrived);
    }

    [Fact]
    public async Task Prometheus_scrapes_a_service_and_answers_the_dashboards_queries()
    {
        await using ServeProcess service = await ServeProcess.StartAsync(["--incoming", "defer", .. MetricsEndpoint.Options]);
        using MetricsEndpoint metrics = await MetricsEndpoint.OfAsync(service);
        await using PrometheusServer prometheus = await PrometheusServer.StartAsync(metrics.Address, Work);
        await prometheus.QueryUntilAsync("rdmamig_errors_total{reason=\"Unreachable\"}", values => values is [0]);

        await QmpMove.TakeSmallMachineAsync(service, Work);
        int from = service.Monitor.Events.Count;
        await service.Monitor.ExecuteAsync("migrate", new { uri = $"unix:{Work.File("nobody")}" });
        Assert.Equal("failed", (await QmpMove.EndAsync(service.Monitor, from)).Status);

        await prometheus.QueryUntilAsync("rdmamig_errors_total{reason=\"Unreachable\"}", values => values is [1]);
        Assert.Equal(1, Assert.Single(await prometheus.QueryAsync("rdmamig_migration_status{status=\"failed\"}")));
        Assert.Equal(0, Assert.Single(await prometheus.QueryAsync("rdmamig_migration_status{status=\"completed\"}")));
        Assert.Equal(1, Assert.Single(await prometheus.QueryAsync("rdmamig_migrations_total{side=\"destination\", status=\"completed\"}")));

        Scrape scrape = await metrics.ScrapeAsync();
        await NothingIsWrongAsync(scrape);
        string[] queries = DashboardQueries();
        Assert.Subset(scrape.Names.ToHashSet(), queries.SelectMany(query => MetricName().Matches(query)).Select(name => name.Value).ToHashSet());
        foreach (string query in queries)
        {
            await prometheus.QueryAsync(query);
        }

        // A failure that follows a 0 counts, in the panel as in an alert.
        await prometheus.QueryUntilAsync(queries.Single(query => query.Contains("rdmamig_errors_total", StringComparison.Ordinal)), values => values is [> 0]);
        Assert.NotEmpty(await prometheus.QueryAsync(queries.Single(query => query.Contains("biglock", StringComparison.Ordinal))));
    }

    [Fact]
    public async Task Metrics_and_traces_are_pushed_over_OTLP_before_the_process_ends()
    {
        using OtlpCollector collector = new();
        await using ServeProcess service = await ServeProcess.StartInAsync(
            [$"OTEL_EXPORTER_OTLP_ENDPOINT={collector.Address}", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"], "--incoming", "defer", "--name", "vm7");

        await QmpMove.TakeSmallMachineAsync(service, Work);
        await service.Monitor.ExecuteAsync("quit");
        Assert.Equal(0, await service.Process.WaitForExitAsync(Deadlines.Answer));

        // Field numbers of opentelemetry/proto/collector: resource, then scope, then metric or span, then its name.
        const string metrics = "/v1/metrics";
        const string traces = "/v1/traces";
        Assert.Superset(
            (HashSet<string>)["rdmamig_migrations", "rdmamig_ram_bytes", "rdmamig_biglock_hold_seconds", "rdmamig_migration_status", "rdmamig_monitor_clients"],
            collector.Texts(metrics, 1, 2, 2, 1));
        Assert.Equal(["mig/dst/main"], collector.Texts(traces, 1, 2, 2, 5));
        Assert.Contains("migrate_set_state", collector.Texts(traces, 1, 2, 2, 11, 2));
        foreach (string path in (string[])[metrics, traces])
        {
            Assert.Superset((HashSet<string>)["rdmamig", "vm7"], collector.Texts(path, 1, 1, 1, 2, 1));
        }
    }

    /// <summary>promtool reads the scrape, and has nothing to remark on names, types, units and help.</summary>
    private async Task NothingIsWrongAsync(Scrape scrape)
    {
        string file = Work.File("scrape");
        await File.WriteAllTextAsync(file, scrape.Body);
        (int exitCode, string output) = await ChildProcess.RunAsync(
            Executables.OnPath("sh", "dash"), "-c", "\"$0\" check metrics < \"$1\"", Executables.OnPath("promtool", "prometheus"), file);
        Assert.Equal((0, ""), (exitCode, output));
    }

    /// <summary>The queries of the dashboard's panels, as Grafana sends them.</summary>
    private static string[] DashboardQueries()
    {
        string file = Path.Combine(Executables.RepositoryRoot, "src/RdmaMigration.Service/grafana/rdmamig.json");
        using JsonDocument dashboard = JsonDocument.Parse(File.ReadAllBytes(file));
        return
        [
            .. dashboard.RootElement.GetProperty("panels").EnumerateArray()
                .SelectMany(panel => panel.GetProperty("targets").EnumerateArray())
                .Select(target => target.GetProperty("expr").GetString()!
                    .Replace("$instance", ".*", StringComparison.Ordinal)
                    .Replace("$__rate_interval", "1m", StringComparison.Ordinal)
                    .Replace("$__range", "1h", StringComparison.Ordinal)),
        ];
    }

    [GeneratedRegex("rdmamig_[a-z_]+")]
    private static partial Regex MetricName();
}
