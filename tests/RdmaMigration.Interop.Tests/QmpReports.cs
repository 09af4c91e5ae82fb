using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>What a QEMU or a service reports over QMP at the moments of a script.</summary>
internal static class QmpReports
{
    private const string Anywhere = "tcp:127.0.0.1:0";

    /// <summary>RAM is half data, so this is in it.</summary>
    private const int HeldAfter = 1 << 20;

    /// <summary>
    /// A QEMU moves into the process, which then fails to send twice, is cancelled twice, loses its destination, and sends. What it reports at each moment.
    /// </summary>
    /// <param name="newMachine">A QEMU, as each of those that the process exchanges the machine with.</param>
    /// <param name="start">Starts the process.</param>
    public static async Task<Dictionary<string, string>> AllAsync(Func<QemuOptions> newMachine, Func<Task<QmpProcess>> start)
    {
        Dictionary<string, string> reports = [];
        QemuOptions filled = newMachine() with { Paused = false };
        GuestMemory.Fill(filled.MemoryFile, filled.RamMebibytes, seed: 1, halfZero: true);
        await using QemuMachine source = await QemuMachine.StartAsync(filled);
        await using QmpProcess process = await start();
        QmpClient monitor = process.Monitor;
        QmpMoments moments = new(monitor);
        await QmpMove.EnableAsync(monitor, "events");
        reports["idle"] = await moments.ReportAsync();
        string uri = await QmpMove.ListenAsync(monitor, Anywhere);
        reports["listening"] = await moments.ReportAsync(QmpAnswers.Incoming);
        using (HoldingProxy link = new HoldingProxy(uri) { HoldsAfter = HeldAfter }.Begin())
        {
            Task sending = QmpMove.SendAsync(source.Monitor, link.Uri);
            await link.Held.WaitAsync(Deadlines.Migration);
            await StatusAsync(monitor, "active", from: 0);
            reports["arriving"] = await moments.ReportAsync(QmpAnswers.Incoming);
            link.Release();
            await sending;
            await QmpMove.EndAsync(monitor);
        }

        await QmpMove.UntilRunStateAsync(monitor, "running");
        reports["arrived"] = await moments.ReportAsync(QmpAnswers.Incoming);

        int from = monitor.Events.Count;
        await monitor.ExecuteAsync("migrate", new { uri = "tcp:127.0.0.1:9" });
        await QmpMove.EndAsync(monitor, from);
        await QmpMove.UntilRunStateAsync(monitor, "running");
        reports["failed"] = await moments.ReportAsync(QmpAnswers.Incoming);

        // While nobody accepts the one connection that the listener queues, the next one is not established.
        from = monitor.Events.Count;
        using (Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        using (Socket queued = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen(0);
            await queued.ConnectAsync(listener.LocalEndPoint!);
            await monitor.ExecuteAsync("migrate", new { uri = $"tcp:{listener.LocalEndPoint}" });
            reports["setup"] = await moments.ReportAsync(QmpAnswers.Incoming);
        }

        await QmpMove.EndAsync(monitor, from);
        await QmpMove.UntilRunStateAsync(monitor, "running");

        from = monitor.Events.Count;
        await using (QemuMachine held = await QemuMachine.StartAsync(newMachine() with { Incoming = "defer" }))
        using (HoldingProxy link = new HoldingProxy(await held.ListenAsync(Anywhere)) { HoldsAfter = HeldAfter }.Begin())
        {
            await monitor.ExecuteAsync("migrate", new { uri = link.Uri });
            await link.Held.WaitAsync(Deadlines.Migration);
            await StatusAsync(monitor, "active", from);
            reports["active"] = await moments.ReportAsync(QmpAnswers.Incoming);
            await monitor.ExecuteAsync("migrate_cancel");
            await QmpMove.EndAsync(monitor, from);
        }

        await QmpMove.UntilRunStateAsync(monitor, "running");
        reports["cancelled while active"] = await moments.ReportAsync(QmpAnswers.Incoming);

        await QmpMove.EnableAsync(monitor, "pause-before-switchover");
        await using QemuMachine left = await QemuMachine.StartAsync(newMachine() with { Incoming = "defer" });
        from = monitor.Events.Count;
        await monitor.ExecuteAsync("migrate", new { uri = await left.ListenAsync(Anywhere) });
        await StatusAsync(monitor, "pre-switchover", from);
        reports["pre-switchover"] = await moments.ReportAsync(QmpAnswers.Incoming);
        await monitor.ExecuteAsync("migrate_cancel");
        await QmpMove.EndAsync(monitor, from);
        await QmpMove.UntilRunStateAsync(monitor, "running");
        reports["cancelled"] = await moments.ReportAsync(QmpAnswers.Incoming);

        await QmpMove.EnableAsync(monitor, "return-path");
        from = monitor.Events.Count;
        await using (QemuMachine dies = await QemuMachine.StartAsync(newMachine() with { Incoming = "defer" }))
        {
            await monitor.ExecuteAsync("migrate", new { uri = await dies.ListenAsync(Anywhere) });
            await StatusAsync(monitor, "pre-switchover", from);
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
        reports["completed"] = await moments.ReportAsync(QmpAnswers.Incoming);
        reports["events"] = moments.Events();
        return reports;
    }

    /// <summary>A source that sends no machine. A destination fails: with exit-on-error it ends, otherwise it reports the failure.</summary>
    /// <param name="start">Starts the process.</param>
    /// <param name="stays">The process has exit-on-error, and is started with false.</param>
    public static async Task<Dictionary<string, string>> FailedArrivalAsync(Func<Task<QmpProcess>> start, bool stays)
    {
        Dictionary<string, string> reports = [];
        await using QmpProcess process = await start();
        QmpClient monitor = process.Monitor;
        QmpMoments moments = new(monitor);
        await QmpMove.EnableAsync(monitor, "events");
        Dictionary<string, object> arguments = new() { ["uri"] = Anywhere };
        if (stays)
        {
            arguments["exit-on-error"] = false;
        }

        await monitor.ExecuteAsync("migrate-incoming", arguments);
        JsonElement address = (await monitor.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        using (TcpClient source = new("127.0.0.1", int.Parse(address.GetProperty("port").GetString()!, CultureInfo.InvariantCulture)))
        {
            await source.GetStream().WriteAsync((byte[])[.. "QEVM"u8, 0, 0, 0, 3, .. "no section"u8]);
            source.Client.Shutdown(SocketShutdown.Send);
            await QmpMove.EndAsync(monitor);
        }

        reports["failed arrival"] = stays
            ? await moments.ReportAsync(QmpAnswers.Incoming)
            : $"exit code {await process.Process.WaitForExitAsync(Deadlines.Answer)}";
        reports["events"] = moments.Events();
        return reports;
    }

    private static Task<QmpEvent> StatusAsync(QmpClient monitor, string status, int from) =>
        monitor.Events.FirstAsync(said => said.Status == status, from, Deadlines.Migration, status);
}
