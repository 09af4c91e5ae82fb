using System.Text.Json;
using RdmaMigration.Qmp.Client;

namespace RdmaMigration.Cli.Remote;

/// <summary>The commands around migration, over a <see cref="QmpClient"/>. Each throws what <see cref="QmpClient.ExecuteAsync"/> throws.</summary>
internal sealed class MonitorSession : IAsyncDisposable
{
    /// <summary>
    /// How long the peer may take for an answer: QEMU's main loop registers all RAM within migrate when rdma-pin-all is on, and sends device state with the
    /// big lock held.
    /// </summary>
    private static readonly TimeSpan s_answerTimeout = TimeSpan.FromMinutes(5);

    private readonly QmpClient _client;

    private MonitorSession(QmpClient client) => _client = client;

    /// <summary>The monitor's socket.</summary>
    public string Path => _client.Path;

    /// <summary>The version that the peer names.</summary>
    public string Version => _client.Version;

    /// <summary>The monitor itself.</summary>
    public QmpClient Client => _client;

    /// <summary>Connects and negotiates.</summary>
    public static async Task<MonitorSession> OpenAsync(string path, TimeSpan greetingTimeout, CancellationToken end) =>
        new(await QmpClient.ConnectAsync(path, greetingTimeout, s_answerTimeout, end).ConfigureAwait(false));

    /// <summary>query-migrate.</summary>
    public async Task<MigrationQuery> QueryAsync(CancellationToken end = default) =>
        MigrationQuery.Parse(await _client.ExecuteAsync("query-migrate", arguments: null, end).ConfigureAwait(false));

    /// <summary>The status of query-status, as <c>running</c>; empty when there is none.</summary>
    public async Task<string> RunStateAsync(CancellationToken end = default) =>
        Text(await _client.ExecuteAsync("query-status", arguments: null, end).ConfigureAwait(false), "status");

    /// <summary>The machine's name; empty when it has none.</summary>
    public async Task<string> NameAsync(CancellationToken end = default) =>
        Text(await _client.ExecuteAsync("query-name", arguments: null, end).ConfigureAwait(false), "name");

    /// <summary>The names of the capabilities that are enabled.</summary>
    public async Task<HashSet<string>> CapabilitiesAsync()
    {
        JsonElement capabilities = await _client.ExecuteAsync("query-migrate-capabilities").ConfigureAwait(false);
        return [.. capabilities.EnumerateArray()
            .Where(capability => capability.TryGetProperty("state", out JsonElement state) && state.ValueKind is JsonValueKind.True)
            .Select(capability => Text(capability, "capability"))];
    }

    /// <summary>query-migrate-parameters.</summary>
    public Task<JsonElement> ParametersAsync() => _client.ExecuteAsync("query-migrate-parameters");

    /// <summary>migrate-set-capabilities.</summary>
    public Task SetCapabilitiesAsync(IEnumerable<CapabilitySetting> capabilities) => _client.ExecuteAsync("migrate-set-capabilities", arguments =>
    {
        arguments.WriteStartArray("capabilities");
        foreach (CapabilitySetting capability in capabilities)
        {
            arguments.WriteStartObject();
            arguments.WriteString("capability", capability.Name);
            arguments.WriteBoolean("state", capability.IsOn);
            arguments.WriteEndObject();
        }

        arguments.WriteEndArray();
    });

    /// <summary>migrate-set-parameters.</summary>
    public Task SetParametersAsync(Action<Utf8JsonWriter> parameters) => _client.ExecuteAsync("migrate-set-parameters", parameters);

    /// <summary>migrate. It returns when the migration has begun.</summary>
    public Task MigrateAsync(string uri) => _client.ExecuteAsync("migrate", arguments => arguments.WriteString("uri", uri));

    /// <summary>migrate_cancel.</summary>
    public Task CancelAsync() => _client.ExecuteAsync("migrate_cancel");

    /// <summary>migrate-continue, in pre-switchover.</summary>
    public Task ContinueAsync() => _client.ExecuteAsync("migrate-continue", arguments => arguments.WriteString("state", "pre-switchover"));

    /// <summary>Disconnects.</summary>
    public ValueTask DisposeAsync() => _client.DisposeAsync();

    private static string Text(JsonElement of, string name) =>
        of.ValueKind is JsonValueKind.Object && of.TryGetProperty(name, out JsonElement text) ? text.ToString() : "";
}
