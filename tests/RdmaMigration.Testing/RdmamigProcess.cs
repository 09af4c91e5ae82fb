using System.Text.Json;

namespace RdmaMigration.Testing;

/// <summary>`rdmamig receive ... --json`, `rdmamig relay`, `rdmamig send` or `rdmamig guest`: its events, its end.</summary>
public sealed class RdmamigProcess : IAsyncDisposable
{
    private readonly ChildProcess _process;
    private readonly EventLog<QmpEvent> _events;

    private RdmamigProcess(string uri, ChildProcess process, EventLog<QmpEvent> events)
    {
        Uri = uri;
        _process = process;
        _events = events;
        _ = process.WaitForExitAsync(TimeSpan.FromDays(1)).ContinueWith(
            t => events.End($"rdmamig ended with {(t.IsCompletedSuccessfully ? t.Result : -1)}: {process.Errors}"),
            CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    /// <summary>What a source migrates to.</summary>
    public string Uri { get; private set; }

    public EventLog<QmpEvent> Events => _events;

    public ChildProcess Process => _process;

    /// <summary>Starts a receiver and returns when it listens.</summary>
    /// <param name="uri">Where to listen; with port 0 at a free one.</param>
    /// <param name="to">A file, or a folder with a trailing slash.</param>
    /// <param name="options">Further options of `rdmamig receive`.</param>
    /// <param name="wrapper">A program and its arguments that ends in exec of what follows, such as prlimit.</param>
    /// <exception cref="EndOfStreamException">It ended before it listened; the message has its last words.</exception>
    public static Task<RdmamigProcess> ListenAsync(string uri, string to, string[]? options = null, string[]? wrapper = null) =>
        ListenAsync(Start(uri, to, options, wrapper));

    /// <summary>Starts a relay and returns when it listens.</summary>
    /// <param name="from">Where to listen; with port 0 at a free one.</param>
    /// <param name="to">Where machines go.</param>
    /// <param name="options">Further options of `rdmamig relay`.</param>
    public static Task<RdmamigProcess> RelayAsync(string from, string to, params string[] options) =>
        ListenAsync(Start(from, [Executables.Rdmamig, "relay", from, to, "--json", .. options]));

    /// <summary>Starts a receiver without waiting for anything.</summary>
    public static RdmamigProcess Start(string uri, string to, string[]? options = null, string[]? wrapper = null) =>
        Start(uri, [.. wrapper ?? [], Executables.Rdmamig, "receive", uri, "--to", to, "--json", .. options ?? []]);

    /// <summary>Starts a sender.</summary>
    /// <param name="file">The capture.</param>
    /// <param name="uri">Where to.</param>
    /// <param name="options">Further options of `rdmamig send`.</param>
    /// <param name="wrapper">A program and its arguments that ends in exec of what follows.</param>
    public static RdmamigProcess Send(string file, string uri, string[]? options = null, string[]? wrapper = null) =>
        Start(uri, [.. wrapper ?? [], Executables.Rdmamig, "send", file, uri, "--json", .. options ?? []]);

    /// <summary>Starts a guest that moves to a destination.</summary>
    /// <param name="uri">The destination.</param>
    /// <param name="options">Further options of `rdmamig guest`.</param>
    public static RdmamigProcess Guest(string uri, params string[] options) =>
        Start(uri, [Executables.Rdmamig, "guest", "--migrate", uri, "--json", .. options]);

    /// <summary>Starts a process that takes a guest and returns when it listens.</summary>
    /// <param name="uri">Where to listen.</param>
    /// <param name="options">Further options of `rdmamig guest`.</param>
    public static Task<RdmamigProcess> IncomingGuestAsync(string uri, params string[] options) =>
        ListenAsync(Start(uri, [Executables.Rdmamig, "guest", "--incoming", uri, "--json", .. options]));

    private static async Task<RdmamigProcess> ListenAsync(RdmamigProcess receiver)
    {
        try
        {
            QmpEvent listening = await receiver._events.FirstAsync(e => e.Name == "LISTENING", 0, Deadlines.Start, "LISTENING");
            if (receiver.Uri.EndsWith(":0", StringComparison.Ordinal))
            {
                receiver.Uri = listening.Values.GetProperty("uri").GetString()!;
            }

            return receiver;
        }
        catch
        {
            await receiver.DisposeAsync();
            throw;
        }
    }

    private static RdmamigProcess Start(string uri, string[] command)
    {
        EventLog<QmpEvent> events = new();
        ChildProcess process = ChildProcess.Start("rdmamig", command[0], command[1..], line =>
        {
            using JsonDocument document = JsonDocument.Parse(line);
            events.Add(QmpEvent.Parse(document.RootElement));
        });
        return new RdmamigProcess(uri, process, events);
    }

    /// <summary>The first RESULT at or after event number <paramref name="from"/>.</summary>
    public async Task<ReceiveResult> ResultAsync(int from = 0)
    {
        QmpEvent result = await _events.FirstAsync(e => e.Name == "RESULT", from, Deadlines.Migration, "RESULT");
        return ReceiveResult.Parse(result);
    }

    /// <summary>Migrates <paramref name="source"/> here; both ends must say that it completed.</summary>
    /// <param name="source">The machine.</param>
    /// <param name="to">What it migrates to, when that is not <see cref="Uri"/>.</param>
    /// <exception cref="InvalidOperationException">One does not; the message has what both say.</exception>
    public async Task<(MigrationOutcome Outcome, ReceiveResult Result)> TakeAsync(QemuMachine source, string? to = null)
    {
        int from = _events.Count;
        MigrationOutcome outcome = await source.MigrateAsync(to ?? Uri);
        ReceiveResult result;
        try
        {
            QmpEvent said = await _events.FirstAsync(
                e => e.Name == "RESULT", from, outcome.Status == "completed" ? Deadlines.Migration : Deadlines.Answer, "RESULT");
            result = ReceiveResult.Parse(said);
        }
        catch (Exception e) when (e is TimeoutException or EndOfStreamException)
        {
            throw new InvalidOperationException($"the source says {outcome}; {e.Message}\n{source.Process.Errors}\n{_process.Errors}", e);
        }

        return outcome.Status == "completed" && result.Completed
            ? (outcome, result)
            : throw new InvalidOperationException(
                $"the source says {outcome}; rdmamig says {result}\n{source.Process.Errors}\n{_process.Errors}");
    }

    /// <summary>The first failure event (MIGRATION with status failed) at or after event number <paramref name="from"/>.</summary>
    public Task<QmpEvent> FailureAsync(int from) => _events.FirstAsync(
        e => e is { Name: "MIGRATION", Status: "failed" }, from, Deadlines.Migration, "MIGRATION failed");

    /// <summary>Sends SIGTERM or SIGINT, by name.</summary>
    public Task SignalAsync(string signal) => _process.SignalAsync(signal);

    public async ValueTask DisposeAsync() => await _process.DisposeAsync();
}

/// <summary>A RESULT line.</summary>
public sealed record ReceiveResult(DateTimeOffset Time, string Status, JsonElement Values)
{
    public bool Completed => Status == "completed";

    public string File => Text("file") ?? throw new InvalidOperationException($"no file in {Values.GetRawText()}");

    public string Machine => Text("machine") ?? "";

    public string Mode => Text("mode") ?? "";

    public string Error => Text("error-desc") ?? "";

    public string ErrorClass => Text("error-class") ?? "";

    /// <summary>From the event that told of the loss, at the completion waiter, until the receive thread held it; null for other failures.</summary>
    public TimeSpan? ErrorLatency =>
        Values.TryGetProperty("error-latency-us", out JsonElement value) ? TimeSpan.FromMicroseconds(value.GetInt64()) : null;

    /// <summary>Of `send`: whether the destination is known to have the machine.</summary>
    public bool Confirmed => Values.TryGetProperty("confirmed", out JsonElement value) && value.GetBoolean();

    public bool ReturnPath => Values.TryGetProperty("return-path", out JsonElement value) && value.GetBoolean();

    public long TotalMilliseconds => Values.GetProperty("total-time").GetInt64();

    public long RamTransferred => Values.GetProperty("ram").GetProperty("transferred").GetInt64();

    public static ReceiveResult Parse(QmpEvent result) =>
        new(result.Time, result.Status ?? throw new InvalidOperationException($"RESULT without status: {result}"), result.Values);

    public override string ToString() => $"{Status}: {Values.GetRawText()}";

    private string? Text(string name) => Values.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;
}
