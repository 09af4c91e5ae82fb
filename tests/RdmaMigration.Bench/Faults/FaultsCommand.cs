using System.CommandLine;
using System.Text.Json;
using RdmaMigration.Bench.Matrix;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Faults;

/// <summary><c>rdmamig-bench faults</c>.</summary>
internal static class FaultsCommand
{
    /// <summary>The exit code when rdmamig broke a promise; 1 is a run that failed.</summary>
    private const int Broken = 3;

    public static Command Create()
    {
        ListOption<FaultKind> kinds = ListOption.OfNames(
            "--kinds", "The faults", Enum.GetValues<FaultKind>(), kind => JsonNamingPolicy.KebabCaseLower.ConvertName(kind.ToString()));
        ListOption<Route> routes = ListOption.OfNames(
            "--pairs", "Who sends to whom", [.. FaultCase.All.Select(RouteOf).Distinct()], route => route.ToOption());
        Option<int> patience = new("--patience")
        {
            Description = "How long a QEMU may take to report a fault, in seconds; then it counts as silent",
            DefaultValueFactory = _ => 60,
        };
        Option<FileInfo> json = new("--json")
        {
            Description = "The file for the rows; the table goes beside it, with the suffix .md",
            DefaultValueFactory = _ => new FileInfo(Path.Combine(Executables.RepositoryRoot, ".artifacts", "bench", "faults.json")),
        };
        Command command = new(
            "faults",
            """
            Faults while a machine moves between two hosts: what each side reports and how soon, where the machine is afterwards, and whether the next
            migration works. Exit code 3 if rdmamig reports a fault later than promised, or loses or changes a machine.

            Boots two soft-RoCE guests, so it runs on the host. About 40 s a row without KVM. Example:
              rdmamig-bench faults --kinds loss,disk-full --pairs rdmamig-rdmamig,qemu-rdmamig --json faults.json
            """)
        {
            kinds.Option, routes.Option, patience, json,
        };
        command.SetAction((parsed, _) => RunAsync(
            kinds.ValueIn(parsed), routes.ValueIn(parsed), TimeSpan.FromSeconds(parsed.GetValue(patience)), parsed.GetValue(json)!));
        return command;
    }

    private static async Task<int> RunAsync(IReadOnlyList<FaultKind> kinds, IReadOnlyList<Route> routes, TimeSpan patience, FileInfo json)
    {
        FaultCase[] cases = [.. FaultCase.All.Where(cell => kinds.Contains(cell.Kind) && routes.Contains(RouteOf(cell)))];
        DateTimeOffset started = DateTimeOffset.UtcNow;
        MeasuredHost host = await MeasuredHost.OfThisAsync();
        List<FaultRow> rows = [];
        List<string> failures = [];
        FaultBed? bed = null;
        try
        {
            foreach (FaultCase cell in cases)
            {
                try
                {
                    if (bed is null)
                    {
                        // A new name: softroce can still be removing the files of the last wire.
                        bed = await FaultBed.StartAsync($"faults-{Environment.ProcessId}-{rows.Count + failures.Count}");
                        host = host with { Rig = await bed.AskAsync("echo $SOFTROCE"), Kernel = await bed.AskAsync("uname -r"), Device = "rxe0" };
                    }

                    rows.Add(await bed.RunAsync(cell, patience));
                    await Console.Error.WriteLineAsync($"{rows.Count} of {cases.Length}: {rows[^1]}");
                    if (rows[^1].Broken.Count > 0)
                    {
                        // The hosts may be in any state.
                        await DisposeAsync(bed);
                        bed = null;
                    }
                }
                catch (Exception e) when (e is IOException or InvalidOperationException or TimeoutException or OperationCanceledException)
                {
                    failures.Add($"{cell}: {e.Message}");
                    await Console.Error.WriteLineAsync(failures[^1]);
                    await DisposeAsync(bed);
                    bed = null;
                }
            }
        }
        finally
        {
            await DisposeAsync(bed);
        }

        FaultFigures figures = new(started, host, patience.TotalSeconds, rows, failures);
        await Report.WriteJsonAsync(json, figures);
        string table = FaultMarkdown.Write(figures);
        await File.WriteAllTextAsync(Path.ChangeExtension(json.FullName, ".md"), table);
        Report.Say(table);
        return failures.Count > 0 ? 1 : rows.Any(row => row.Broken.Count > 0) ? Broken : 0;
    }

    private static ValueTask DisposeAsync(FaultBed? bed) => bed?.DisposeAsync() ?? ValueTask.CompletedTask;

    private static Route RouteOf(FaultCase cell) => new(PeerOf(cell.From), PeerOf(cell.To));

    private static Peer PeerOf(MigrationProgram program) => program is MigrationProgram.Qemu ? Peer.Qemu : Peer.Rdmamig;
}
