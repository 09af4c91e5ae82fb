using RdmaMigration.Testing;

namespace RdmaMigration.Interop.Metrics;

/// <summary>The endpoint of a service that was started with --metrics 127.0.0.1:0 and --verbose.</summary>
internal sealed class MetricsEndpoint : IDisposable
{
    private const string LogLine = "metrics at ";

    private readonly HttpClient _http = new();

    private MetricsEndpoint(Uri address) => Address = address;

    public Uri Address { get; }

    /// <summary>The options of a service that has an endpoint.</summary>
    public static string[] Options { get; } = ["--metrics", "127.0.0.1:0", "--verbose"];

    /// <summary>Returns when the service has logged where its endpoint is.</summary>
    public static async Task<MetricsEndpoint> OfAsync(ServeProcess service)
    {
        string line = await service.Log.FirstAsync(line => line.Contains(LogLine, StringComparison.Ordinal), 0, Deadlines.Start, LogLine);
        return new MetricsEndpoint(new Uri(line[(line.IndexOf(LogLine, StringComparison.Ordinal) + LogLine.Length)..].Trim()));
    }

    /// <summary>One scrape.</summary>
    public async Task<Scrape> ScrapeAsync() => new(await _http.GetStringAsync(Address));

    /// <summary>Scrapes until it shows a status.</summary>
    public async Task<Scrape> UntilAsync(string status, Func<Scrape, bool>? and = null)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        while (true)
        {
            Scrape scrape = await ScrapeAsync();
            if (scrape.Status == status && and?.Invoke(scrape) is not false)
            {
                return scrape;
            }

            deadline.Token.ThrowIfCancellationRequested();
        }
    }

    public void Dispose() => _http.Dispose();
}
