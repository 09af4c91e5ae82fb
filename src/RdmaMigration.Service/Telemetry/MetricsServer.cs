using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>Serves metrics to Prometheus, over HTTP at the path /metrics, until it is disposed. Any other path is not found.</summary>
internal sealed class MetricsServer : IDisposable
{
    private const string Path = "/metrics";

    /// <summary>Scrapers at a time: each costs memory, and anybody can connect who reaches the address.</summary>
    private const int MaximumConnections = 32;

    private readonly KestrelServer _server;
    private readonly ServiceProvider _services;

    private MetricsServer(KestrelServer server, ServiceProvider services)
    {
        _server = server;
        _services = services;
    }

    /// <summary>What a scraper gets: <c>http://127.0.0.1:9464/metrics</c>.</summary>
    public IEnumerable<string> Addresses => _server.Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Select(address => address + Path);

    /// <summary>Listens, and returns when scrapers can connect.</summary>
    /// <param name="endpoint">Where; an empty host is every address.</param>
    /// <param name="metrics">What is served. It has the exporter for Prometheus.</param>
    /// <param name="logs">Takes logs. It outlives the server.</param>
    /// <exception cref="ConnectFailedException">The address cannot be listened at.</exception>
    public static MetricsServer Start(TcpUri endpoint, MeterProvider metrics, ILoggerFactory logs)
    {
        ServiceProvider services = new ServiceCollection().AddSingleton(logs).AddLogging().AddOptions().BuildServiceProvider();
        RequestDelegate pipeline = new ApplicationBuilder(services)
            .UseOpenTelemetryPrometheusScrapingEndpoint(metrics, predicate: null, Path, configureBranchedPipeline: null, optionsName: null)
            .Build();
        KestrelServer? server = null;
        try
        {
            server = new KestrelServer(
                Options.Create(OptionsFor(endpoint, services)),
                new SocketTransportFactory(Options.Create(new SocketTransportOptions()), logs),
                logs);
            server.StartAsync(new Application(pipeline), CancellationToken.None).GetAwaiter().GetResult();
            return new MetricsServer(server, services);
        }
        catch (Exception failed) when (failed is IOException or SocketException)
        {
            server?.Dispose();
            services.Dispose();
            string address = endpoint.ToString()[(endpoint.Scheme.Length + 1)..];
            throw new ConnectFailedException($"cannot serve metrics (--metrics {address}): {failed.Message.TrimEnd('.')}", failed);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _server.Dispose();
        _services.Dispose();
    }

    private static KestrelServerOptions OptionsFor(TcpUri endpoint, ServiceProvider services)
    {
        KestrelServerOptions options = new() { AddServerHeader = false, ApplicationServices = services };
        options.Limits.MaxConcurrentConnections = MaximumConnections;
        options.Limits.MaxRequestBodySize = 0;
        if (endpoint.Host.Length == 0)
        {
            options.ListenAnyIP(endpoint.Port, Configure);
        }
        else
        {
            foreach (IPEndPoint address in endpoint.Resolve())
            {
                options.Listen(address, Configure);
            }
        }

        return options;

        static void Configure(ListenOptions listen) => listen.Protocols = HttpProtocols.Http1;
    }

    private sealed class Application(RequestDelegate pipeline) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

        public Task ProcessRequestAsync(HttpContext context) => pipeline(context);

        public void DisposeContext(HttpContext context, Exception? exception)
        {
        }
    }
}
