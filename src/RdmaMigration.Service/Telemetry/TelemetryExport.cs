using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>
/// Exports the metrics and traces of this process until it is disposed, which sends what is left. A process that exports nothing has none of it.
/// </summary>
internal sealed class TelemetryExport : IDisposable
{
    private const string Engine = "RdmaMigration.Engine";
    private const string Transport = "RdmaMigration.Transport";
    private const string Service = "RdmaMigration.Service";

    /// <summary>How long the end of the process waits for a collector that does not answer, for metrics and again for traces.</summary>
    private const int FlushMilliseconds = 2000;

    // The SDK's own boundaries are for milliseconds.
    private static readonly (string Instrument, double[] Boundaries)[] s_histograms =
    [
        ("rdmamig_biglock_hold_seconds", [1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 1]),
        ("rdmamig_registration_seconds", [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10]),
        ("rdmamig_downtime_seconds", [0.01, 0.03, 0.1, 0.3, 1, 3, 10]),
        ("rdmamig_total_time_seconds", [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000]),
        ("rdmamig_dirty_pages_rate", [0, 100, 1000, 1e4, 1e5, 1e6, 1e7]),
        ("rdmamig_completions_per_wake", [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]),
    ];

    private readonly TelemetryOptions _options;
    private readonly MeterProvider _metrics;
    private readonly TracerProvider? _traces;
    private MetricsServer? _server;

    private TelemetryExport(TelemetryOptions options, string? machine, Func<MigrationInfo> query)
    {
        _options = options;
        MeterProviderBuilder metrics = Sdk.CreateMeterProviderBuilder().ConfigureResource(Describe).AddMeter(Engine, Transport, Service);
        foreach ((string instrument, double[] boundaries) in s_histograms)
        {
            metrics.AddView(instrument, new ExplicitBucketHistogramConfiguration { Boundaries = boundaries });
        }

        if (options.Endpoint is not null)
        {
            metrics.AddPrometheusExporter();
        }

        if (options.IsPushed)
        {
            metrics.AddOtlpExporter();
            _traces = Sdk.CreateTracerProviderBuilder().ConfigureResource(Describe).AddSource(Engine).AddOtlpExporter().Build();
        }

        _metrics = metrics.Build();
        new MigrationGauges(query).AddTo(Meter);
        MigrationMetrics.ShowZeros();

        // The environment wins: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
        void Describe(ResourceBuilder resource) => resource
            .AddService("rdmamig", serviceVersion: options.Version, autoGenerateServiceInstanceId: machine is null, serviceInstanceId: machine)
            .AddEnvironmentVariableDetector();
    }

    private Meter Meter { get; } = new(Service);

    /// <summary>Collects, pushes and serves from now on, as the options say; null if they say nothing.</summary>
    /// <param name="options">What is exported, and where to.</param>
    /// <param name="machine">The machine's name; null when it has none.</param>
    /// <param name="query">Returns the migration that runs or ran last. Called from any thread.</param>
    /// <param name="addInstruments">Adds the program's own instruments.</param>
    /// <param name="logs">Takes logs. It outlives the export.</param>
    /// <exception cref="ConnectFailedException">The address cannot be listened at.</exception>
    public static TelemetryExport? Open(
        TelemetryOptions options, string? machine, Func<MigrationInfo> query, Action<Meter> addInstruments, ILoggerFactory logs)
    {
        if (options.IsNone)
        {
            return null;
        }

        TelemetryExport exports = new(options, machine, query);
        try
        {
            addInstruments(exports.Meter);
            exports.Serve(logs);
            return exports;
        }
        catch
        {
            exports.Dispose();
            throw;
        }
    }

    private void Serve(ILoggerFactory logs)
    {
        if (_options.Endpoint is not { } endpoint)
        {
            return;
        }

        _server = MetricsServer.Start(endpoint, _metrics, logs);
        ILogger log = logs.CreateLogger<TelemetryExport>();
        foreach (string address in _server.Addresses)
        {
            ServiceLog.Metrics(log, address);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _server?.Dispose();
        _metrics.Shutdown(FlushMilliseconds);
        _metrics.Dispose();
        _traces?.Shutdown(FlushMilliseconds);
        _traces?.Dispose();
        Meter.Dispose();
    }
}
