using System.Text.Json;
using RdmaMigration.Interop.Harness;

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
            ? new Sent(outcome.TotalTime.TotalMilliseconds, outcome.SetupTime.TotalMilliseconds, cpu)
            : throw new InvalidOperationException($"the source QEMU says {outcome}\n{source.Process.Errors}");
    }

    /// <summary>rdmamig send, from the saved machine. Its CPU time is the whole program's: it starts, loads the file, sends it and ends.</summary>
    public static async Task<Sent> SendFromRdmamigAsync(Workbench bench, string uri, bool pinAll, params string[] options)
    {
        string[] arguments = ["send", bench.SavedMachine, uri, "--json", .. pinAll ? (string[])["--pin-all"] : [], .. options];
        JsonElement? result = null;
        ProcessorTime before = ProcessorTime.OfEndedChildren();
        await using ChildProcess sender = ChildProcess.Start("rdmamig send", Executables.Rdmamig, arguments, line =>
        {
            using JsonDocument document = JsonDocument.Parse(line);
            if (document.RootElement.GetProperty("event").GetString() == "RESULT")
            {
                result = document.RootElement.GetProperty("data").Clone();
            }
        });
        int exitCode = await sender.WaitForExitAsync(Deadlines.Migration);
        ProcessorTime cpu = ProcessorTime.OfEndedChildren() - before;
        return exitCode == 0 && result is { } said
            ? new Sent(said.GetProperty("total-time").GetDouble(), said.GetProperty("setup-time").GetDouble(), cpu)
            : throw new InvalidOperationException($"rdmamig send ended with {exitCode}: {result?.GetRawText()}\n{sender.Errors}");
    }
}
