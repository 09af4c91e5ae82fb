using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>One script that moves a machine between two processes over QMP, each a QEMU or a service.</summary>
internal static class QmpMove
{
    /// <summary>Moves the machine and waits until both report completed.</summary>
    /// <param name="source">Has the machine.</param>
    /// <param name="destination">Was started with -incoming defer.</param>
    /// <param name="uri">Where the destination listens; with TCP port 0 at a free one.</param>
    /// <param name="capabilities">Enabled on both sides.</param>
    public static async Task RunAsync(QmpClient source, QmpClient destination, string uri, params string[] capabilities)
    {
        await EnableAsync(destination, ["events", .. capabilities]);
        string to = await ListenAsync(destination, uri);
        await SendAsync(source, to, capabilities);
        await EndAsync(destination);
        Assert.Equal("completed", await StatusAsync(destination));
        await SetAsync(destination, state: false, capabilities);
    }

    /// <summary>
    /// Sends the machine and waits until the source reports completed. The parameters are saved before and restored after, and capabilities disabled, as
    /// libvirt does.
    /// </summary>
    public static async Task SendAsync(QmpClient source, string uri, params string[] capabilities)
    {
        JsonElement before = await source.ExecuteAsync("query-migrate-parameters");
        await EnableAsync(source, ["events", .. capabilities]);
        await source.ExecuteAsync("migrate-set-parameters", new Dictionary<string, object> { ["max-bandwidth"] = RdmaAddress.Unlimited });
        int from = source.Events.Count;
        await source.ExecuteAsync("migrate", new { uri });
        if (capabilities.Contains("pause-before-switchover"))
        {
            await source.Events.FirstAsync(
                said => said is { Name: "MIGRATION", Status: "pre-switchover" or "failed" }, from, Deadlines.Migration, "pre-switchover");
            await source.ExecuteAsync("migrate-continue", new { state = "pre-switchover" });
        }

        QmpEvent end = await EndAsync(source, from);
        Assert.True(end.Status == "completed", $"{await source.ExecuteAsync("query-migrate")}");
        await SetAsync(source, state: false, capabilities);
        await source.ExecuteAsync("migrate-set-parameters", before);
        Assert.Equal(before.GetRawText(), (await source.ExecuteAsync("query-migrate-parameters")).GetRawText());
    }

    /// <summary>migrate-incoming. Returns what a source migrates to.</summary>
    public static async Task<string> ListenAsync(QmpClient destination, string uri)
    {
        await destination.ExecuteAsync("migrate-incoming", new { uri });
        if (!uri.EndsWith(":0", StringComparison.Ordinal))
        {
            return uri;
        }

        JsonElement address = (await destination.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        return $"tcp:{address.GetProperty("host").GetString()}:{address.GetProperty("port").GetString()}";
    }

    /// <summary>The first end of a migration.</summary>
    public static Task<QmpEvent> EndAsync(QmpClient monitor, int from = 0) => monitor.Events.FirstAsync(
        said => said is { Name: "MIGRATION", Status: "completed" or "failed" or "cancelled" }, from, Deadlines.Migration, "the end of the migration");

    /// <summary>The status that query-migrate reports; null before the first migration.</summary>
    public static async Task<string?> StatusAsync(QmpClient monitor) =>
        (await monitor.ExecuteAsync("query-migrate")).TryGetProperty("status", out JsonElement status) ? status.GetString() : null;

    /// <summary>The status that query-status reports.</summary>
    public static async Task<string> RunStateAsync(QmpClient monitor) => (await monitor.ExecuteAsync("query-status")).GetProperty("status").GetString()!;

    /// <summary>Waits for a run state.</summary>
    public static async Task UntilRunStateAsync(QmpClient monitor, string state)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        while (await RunStateAsync(monitor) != state)
        {
            deadline.Token.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Enables capabilities.</summary>
    public static Task EnableAsync(QmpClient monitor, params string[] capabilities) => SetAsync(monitor, state: true, capabilities);

    /// <summary>Disables capabilities.</summary>
    public static Task DisableAsync(QmpClient monitor, params string[] capabilities) => SetAsync(monitor, state: false, capabilities);

    private static async Task SetAsync(QmpClient monitor, bool state, string[] capabilities) => await monitor.ExecuteAsync(
        "migrate-set-capabilities", new { capabilities = capabilities.Select(name => new { capability = name, state }).ToArray() });

    /// <summary>A service takes a small machine out of a file.</summary>
    public static async Task TakeSmallMachineAsync(ServeProcess service, WorkDirectory work)
    {
        string file = work.File("small");
        await File.WriteAllBytesAsync(file, StreamBuilder.SmallMachine());
        await EnableAsync(service.Monitor, "events");
        await service.Monitor.ExecuteAsync("migrate-incoming", new { uri = $"file:{file}" });
        Assert.Equal("completed", (await EndAsync(service.Monitor)).Status);
        await UntilRunStateAsync(service.Monitor, "running");
    }
}
