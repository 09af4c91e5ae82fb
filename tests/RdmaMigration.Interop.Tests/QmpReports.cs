using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>What a QEMU or a service reports over QMP at the moments of a script.</summary>
internal static class QmpReports
{
    private const string Anywhere = "tcp:127.0.0.1:0";

    /// <summary>
    /// A QEMU moves into the process, which then fails to send, pauses, is cancelled, loses its destination, and sends. What it reports at each moment.
    /// </summary>
    /// <param name="newMachine">A QEMU, as each of those that the process exchanges the machine with.</param>
    /// <param name="start">Starts the process.</param>
    public static async Task<Dictionary<string, string>> AllAsync(
        Func<QemuOptions> newMachine, Func<Task<(QmpClient Monitor, IAsyncDisposable Process)>> start)
    {
        Dictionary<string, string> reports = [];
        await using QemuMachine source = await QemuMachine.StartAsync(newMachine() with { Paused = false });
        (QmpClient monitor, IAsyncDisposable process) = await start();
        await using (process)
        {
            await QmpMove.EnableAsync(monitor, "events");
            reports["idle"] = await ReportAsync(monitor);
            string uri = await QmpMove.ListenAsync(monitor, Anywhere);
            reports["listening"] = await ReportAsync(monitor);
            await QmpMove.SendAsync(source.Monitor, uri);
            await QmpMove.EndAsync(monitor);
            await QmpMove.UntilRunStateAsync(monitor, "running");
            reports["arrived"] = await ReportAsync(monitor);

            int from = monitor.Events.Count;
            await monitor.ExecuteAsync("migrate", new { uri = "tcp:127.0.0.1:9" });
            await QmpMove.EndAsync(monitor, from);
            await QmpMove.UntilRunStateAsync(monitor, "running");
            reports["failed"] = await ReportAsync(monitor);

            await QmpMove.EnableAsync(monitor, "pause-before-switchover");
            await using QemuMachine left = await QemuMachine.StartAsync(newMachine() with { Incoming = "defer" });
            from = monitor.Events.Count;
            await monitor.ExecuteAsync("migrate", new { uri = await left.ListenAsync(Anywhere) });
            await monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
            reports["pre-switchover"] = await ReportAsync(monitor);
            await monitor.ExecuteAsync("migrate_cancel");
            await QmpMove.EndAsync(monitor, from);
            await QmpMove.UntilRunStateAsync(monitor, "running");
            reports["cancelled"] = await ReportAsync(monitor);

            await QmpMove.EnableAsync(monitor, "return-path");
            from = monitor.Events.Count;
            await using (QemuMachine dies = await QemuMachine.StartAsync(newMachine() with { Incoming = "defer" }))
            {
                await monitor.ExecuteAsync("migrate", new { uri = await dies.ListenAsync(Anywhere) });
                await monitor.Events.FirstAsync(said => said.Status == "pre-switchover", from, Deadlines.Migration, "pre-switchover");
            }

            // QEMU notices it when it goes on, a service at once: then nothing waits for migrate-continue.
            await Record.ExceptionAsync(() => monitor.ExecuteAsync("migrate-continue", new { state = "pre-switchover" }));
            await QmpMove.EndAsync(monitor, from);
            await QmpMove.UntilRunStateAsync(monitor, "running");
            reports["lost"] = $"{await QmpMove.RunStateAsync(monitor)} {await QmpMove.StatusAsync(monitor)}";

            await QmpMove.DisableAsync(monitor, "pause-before-switchover");
            await using QemuMachine last = await QemuMachine.StartAsync(newMachine() with { Incoming = "defer" });
            from = monitor.Events.Count;
            await monitor.ExecuteAsync("migrate", new { uri = await last.ListenAsync(Anywhere) });
            await QmpMove.EndAsync(monitor, from);
            await QmpMove.UntilRunStateAsync(monitor, "postmigrate");
            reports["completed"] = await ReportAsync(monitor);
            string events = string.Join(
                ' ', monitor.Events.Snapshot().Where(said => said.Name != "MIGRATION_PASS").Select(said => said.Status ?? said.Name));

            // When a cancel or a failure comes in pre-switchover, device is sometimes reported first.
            reports["events"] = events.Replace("device cancelling", "cancelling", StringComparison.Ordinal)
                .Replace("device failed", "failed", StringComparison.Ordinal)
                .Replace("device failing", "failing", StringComparison.Ordinal);
        }

        return reports;
    }

    /// <summary>The run state, the status, the names of all members, and the answers to further commands.</summary>
    private static async Task<string> ReportAsync(QmpClient monitor)
    {
        JsonElement migration = await monitor.ExecuteAsync("query-migrate");
        JsonElement run = await monitor.ExecuteAsync("query-status");
        return $"{run.GetProperty("status")} {run.GetProperty("running")} {await QmpMove.StatusAsync(monitor)} {Members(run)} {Members(migration)}"
            + await QmpAnswers.AtAsync(monitor);
    }

    private static string Members(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(
            ',', value.EnumerateObject().Select(member => member.Name + Members(member.Value)).Order(StringComparer.Ordinal)) + "}",
        JsonValueKind.Array => "[" + string.Join(',', value.EnumerateArray().Select(Members)) + "]",
        _ => "",
    };
}
