using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using RdmaMigration.Engine;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Service.Tests;

/// <summary>Metrics and their endpoint without another program. With Prometheus and a collector: the interop suite.</summary>
public sealed class TelemetryTests : IDisposable
{
    private static readonly TcpUri s_anywhere = new("127.0.0.1", 0);

    private readonly WorkDirectory _work = new();

    public void Dispose() => _work.Dispose();

    [Fact]
    public void A_host_that_exports_nothing_creates_no_instrument_and_no_listener()
    {
        List<string> created = [];
        using MeterListener listener = new()
        {
            InstrumentPublished = (instrument, _) =>
            {
                lock (created)
                {
                    created.Add(instrument.Meter.Name);
                }
            },
        };
        listener.Start();

        Assert.Equal(0, Sender(TelemetryOptions.None).Run());
        Assert.DoesNotContain("RdmaMigration.Service", created);

        Assert.Equal(0, Sender(new TelemetryOptions { Endpoint = s_anywhere }).Run());
        Assert.Contains("RdmaMigration.Service", created);
    }

    [Fact]
    public void A_port_that_is_in_use_ends_the_host_before_anything_begins()
    {
        using TcpListener other = new(IPAddress.Loopback, 0);
        other.Start();
        Observer observer = new();
        TcpUri endpoint = new("127.0.0.1", ((IPEndPoint)other.LocalEndpoint).Port);

        ConnectFailedException failed = Assert.Throws<ConnectFailedException>(() => Sender(new TelemetryOptions { Endpoint = endpoint }, observer).Run());

        Assert.Contains($"--metrics 127.0.0.1:{endpoint.Port}", failed.Message, StringComparison.Ordinal);
        Assert.Contains("address already in use", failed.Message, StringComparison.Ordinal);
        Assert.Null(observer.Process);
        Assert.False(File.Exists(_work.File("sent")));
    }

    [Fact]
    public void An_address_that_this_host_does_not_have_is_named()
    {
        ConnectFailedException failed = Assert.Throws<ConnectFailedException>(
            () => Sender(new TelemetryOptions { Endpoint = new TcpUri("192.0.2.1", 9464) }).Run());

        Assert.Contains("--metrics 192.0.2.1:9464", failed.Message, StringComparison.Ordinal);
    }

    /// <summary>Scrapers name this host as they like, and an empty host is every address of both families.</summary>
    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("127.0.0.1", "localhost")]
    [InlineData("", "127.0.0.1")]
    [InlineData("", "[::1]")]
    public async Task The_endpoint_serves_metrics_whatever_name_it_is_asked_by(string listensAt, string asked)
    {
        using Meter meter = new("RdmaMigration.Service");
        meter.CreateObservableGauge("rdmamig_answer", () => 42, description: "A test.");
        using MeterProvider metrics = Sdk.CreateMeterProviderBuilder().AddMeter(meter.Name).AddPrometheusExporter().Build();
        using MetricsServer server = MetricsServer.Start(new TcpUri(listensAt, 0), metrics, NullLoggerFactory.Instance);
        int port = new Uri(server.Addresses.Single().Replace("[::]", "localhost", StringComparison.Ordinal)).Port;
        using HttpClient http = new() { BaseAddress = new Uri($"http://{asked}:{port}") };

        string body = await http.GetStringAsync("/metrics");

        Assert.Matches("(?m)^rdmamig_answer(\\{.*\\})? 42", body);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/")).StatusCode);
    }

    [Fact]
    public void Gauges_have_the_figures_of_a_machine_that_runs_in_base_units()
    {
        int queries = 0;
        MigrationInfo info = new()
        {
            Status = MigrationStatus.Active,
            IsOutgoing = true,
            RamTotal = 1 << 20,
            RamTransferred = 700 << 10,
            RamZero = 200 << 10,
            TotalTime = TimeSpan.FromSeconds(2.5),
            Live = new LiveInfo
            {
                DirtyPagesRate = 3,
                Remaining = 8192,
                ExpectedDowntime = TimeSpan.FromMilliseconds(20),
                Downtime = TimeSpan.FromMilliseconds(30),
            },
        };
        Dictionary<string, double> gauges = Gauges(() =>
        {
            queries++;
            return info;
        });

        Assert.InRange(queries, 1, 3);
        Assert.Equal(
            new Dictionary<string, double>
            {
                ["rdmamig_migration_side side=destination"] = 0,
                ["rdmamig_migration_side side=source"] = 1,
                ["rdmamig_migration_ram_bytes"] = 1 << 20,
                ["rdmamig_migration_transferred_bytes"] = 500 << 10,
                ["rdmamig_migration_zero_bytes"] = 200 << 10,
                ["rdmamig_migration_remaining_bytes"] = 8192,
                ["rdmamig_migration_dirty_rate_bytes_per_second"] = 3 * 4096,
                ["rdmamig_migration_total_time_seconds"] = 2.5,
                ["rdmamig_migration_expected_downtime_seconds"] = 0.02,
                ["rdmamig_migration_downtime_seconds"] = 0.03,
            },
            gauges.Where(gauge => !gauge.Key.Contains("status", StringComparison.Ordinal)).ToDictionary());
        Assert.Equal("rdmamig_migration_status status=active", gauges.Single(gauge => gauge is { Value: 1 } && gauge.Key.Contains("status=")).Key);
        Assert.Equal(Enum.GetValues<MigrationStatus>().Length, gauges.Keys.Count(name => name.Contains("status=", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(MigrationStatus.None, 0, 0)]
    [InlineData(MigrationStatus.Active, 1, 300)]
    [InlineData(MigrationStatus.Completed, 1, 0)]
    public void A_machine_that_arrives_has_remaining_bytes_until_it_is_complete(object status, double isDestination, double remaining)
    {
        MigrationStatus current = (MigrationStatus)status;
        Dictionary<string, double> gauges = Gauges(
            () => new MigrationInfo { Status = current, RamTotal = current is MigrationStatus.None ? 0 : 1000, RamTransferred = 700 });

        Assert.Equal(
            (isDestination, 0, remaining),
            (gauges["rdmamig_migration_side side=destination"], gauges["rdmamig_migration_side side=source"], gauges["rdmamig_migration_remaining_bytes"]));
    }

    private static Dictionary<string, double> Gauges(Func<MigrationInfo> query)
    {
        using Meter meter = new("gauges");
        Dictionary<string, double> values = [];
        using MeterListener listener = new()
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter == meter)
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => values.Add(Name(instrument, tags), value));
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => values.Add(Name(instrument, tags), value));
        listener.Start();
        new MigrationGauges(query).AddTo(meter);
        listener.RecordObservableInstruments();
        return values;
    }

    private static string Name(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        string.Join(' ', [instrument.Name, .. tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}")]);

    private SenderHost Sender(TelemetryOptions telemetry, Observer? observer = null)
    {
        File.WriteAllBytes(_work.File("vm.qemu"), StreamBuilder.SmallMachine());
        OutgoingOptions outgoing = new() { Uri = new FileUri(_work.File("sent")) };
        return new SenderHost(_work.File("vm.qemu"), outgoing, observer ?? new Observer(), logging: logging => logging.ClearProviders())
        {
            Telemetry = telemetry,
        };
    }
}
