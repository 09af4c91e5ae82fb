using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>Sends the machine of a workbench to a destination that waits.</summary>
internal static class Source
{
    /// <summary>A paused QEMU migrates. Its CPU time is that between the command and the end.</summary>
    public static async Task<Sent> SendFromQemuAsync(Workbench bench, string uri, bool pinAll)
    {
        await using QemuMachine source = await bench.StartSourceAsync(pinAll);
        ProcessorTime before = ProcessorTime.OfProcess(source.Process.Id);
        MigrationOutcome outcome = await source.MigrateAsync(uri);
        ProcessorTime cpu = ProcessorTime.OfProcess(source.Process.Id) - before;
        return outcome.Status == "completed"
            ? new Sent(
                outcome.TotalTime.TotalMilliseconds,
                outcome.SetupTime.TotalMilliseconds,
                (outcome.TotalTime - outcome.SetupTime).TotalMilliseconds,
                cpu,
                default)
            : throw new InvalidOperationException($"the source QEMU says {outcome}\n{source.Process.Errors}");
    }

    /// <summary>
    /// rdmamig send, from the saved machine. Its CPU time is that from its word that RAM begins to its last word; what it used before, to start, load the file
    /// and connect, is told apart.
    /// </summary>
    public static async Task<Sent> SendFromRdmamigAsync(string file, string uri, params string[] options)
    {
        string[] command = [.. ExactProcessors.ForSender, Executables.Rdmamig, "send", file, uri, "--json", .. options];
        List<QmpEvent> said = [];
        ProcessorTime beforeRam = default, atLast = default;
        TaskCompletionSource<int> started = new();
        await using ChildProcess sender = ChildProcess.Start("rdmamig send", command[0], command[1..], line =>
        {
            atLast = ProcessorTime.OfProcessOrNone(started.Task.Result) ?? atLast;
            using JsonDocument document = JsonDocument.Parse(line);
            said.Add(QmpEvent.Parse(document.RootElement));
            beforeRam = IsStatus(said[^1], "active") ? atLast : beforeRam;
        });
        started.SetResult(sender.Id);
        int exitCode = await sender.WaitForExitAsync(Deadlines.Migration);
        JsonElement? result = said.LastOrDefault(e => e.Name == "RESULT")?.Values;
        if (exitCode != 0 || result is not { } values)
        {
            throw new InvalidOperationException($"rdmamig send ended with {exitCode}: {result?.GetRawText()}\n{sender.Errors}");
        }

        TimeSpan ram = Reached(said, "device") - Reached(said, "active");
        return new Sent(
            values.GetProperty("total-time").GetDouble(), values.GetProperty("setup-time").GetDouble(), ram.TotalMilliseconds, atLast - beforeRam, beforeRam);
    }

    private static DateTimeOffset Reached(IEnumerable<QmpEvent> said, string status) =>
        said.FirstOrDefault(e => IsStatus(e, status))?.Time ?? throw new InvalidOperationException($"rdmamig send completed without being {status}");

    private static bool IsStatus(QmpEvent said, string status) => said.Name == "MIGRATION" && said.Status == status;
}
