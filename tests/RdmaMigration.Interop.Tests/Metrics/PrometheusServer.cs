using System.Text.Json;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop.Metrics;

/// <summary>A Prometheus server of Debian's package that scrapes one target, and its HTTP API.</summary>
internal sealed class PrometheusServer : IAsyncDisposable
{
    private readonly ChildProcess _process;
    private readonly HttpClient _http;

    private PrometheusServer(ChildProcess process, Uri address)
    {
        _process = process;
        _http = new HttpClient { BaseAddress = address };
    }

    /// <summary>Starts it and returns when it answers queries: it listens some time before that.</summary>
    /// <param name="target">What it scrapes, four times a second.</param>
    /// <param name="work">For its configuration and its database.</param>
    public static async Task<PrometheusServer> StartAsync(Uri target, WorkDirectory work)
    {
        string config = work.File("prometheus.yml");
        await File.WriteAllTextAsync(config, $"""
            scrape_configs:
              - job_name: rdmamig
                scrape_interval: 250ms
                scrape_timeout: 250ms
                static_configs:
                  - targets: ['{target.Authority}']
            """);
        EventLog<string> log = new();
        ChildProcess process = ChildProcess.Start(
            "prometheus",
            Executables.OnPath("prometheus", "prometheus"),
            [$"--config.file={config}", $"--storage.tsdb.path={work.File("tsdb")}", "--web.listen-address=127.0.0.1:0"],
            onError: log.Add);
        try
        {
            string line = await log.FirstAsync(
                line => line.Contains("\"Listening on\"", StringComparison.Ordinal), 0, Deadlines.Start, "Prometheus's address");
            await log.FirstAsync(
                line => line.Contains("\"Server is ready to receive web requests.\"", StringComparison.Ordinal), 0, Deadlines.Start, "Prometheus to be ready");
            return new PrometheusServer(process, new Uri($"http://{Regex.Match(line, @"address=(\S+)").Groups[1].Value}"));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>The values of a query's result at this moment.</summary>
    /// <exception cref="InvalidOperationException">It refused the query; the message has its answer.</exception>
    public async Task<double[]> QueryAsync(string query)
    {
        using HttpResponseMessage response = await _http.GetAsync($"/api/v1/query?query={Uri.EscapeDataString(query)}");
        string answer = await response.Content.ReadAsStringAsync();
        if (!response.IsSuccessStatusCode)
        {
            throw new InvalidOperationException($"{query}: {answer}");
        }

        using JsonDocument document = JsonDocument.Parse(answer);
        return
        [
            .. document.RootElement.GetProperty("data").GetProperty("result").EnumerateArray()
                .Select(series => double.Parse(series.GetProperty("value")[1].GetString()!, System.Globalization.CultureInfo.InvariantCulture)),
        ];
    }

    /// <summary>Asks until the result has values that fit.</summary>
    public async Task<double[]> QueryUntilAsync(string query, Func<double[], bool> fits)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        while (true)
        {
            double[] values = await QueryAsync(query);
            if (fits(values))
            {
                return values;
            }

            if (deadline.IsCancellationRequested)
            {
                throw new TimeoutException($"{query} is still [{string.Join(' ', values)}]\n{_process.Errors}");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _process.DisposeAsync();
    }
}
