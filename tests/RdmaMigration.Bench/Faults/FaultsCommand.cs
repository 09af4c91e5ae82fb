using System.CommandLine;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Faults;

/// <summary><c>rdmamig-bench faults</c>.</summary>
internal static class FaultsCommand
{
    /// <summary>The exit code when rdmamig broke a promise; 1 is a run that failed.</summary>
    private const int Broken = 3;

    private const int MostBeds = 8;

    public static Command Create()
    {
        ListOption<FaultKind> kinds = ListOption.OfNames("--kinds", "The faults", Enum.GetValues<FaultKind>(), NameOf);
        ListOption<FaultPhase> phases = ListOption.OfNames("--phases", "When they begin", Enum.GetValues<FaultPhase>(), NameOf);
        ListOption<Route> routes = ListOption.OfNames(
            "--pairs", "Who sends to whom", [.. FaultCase.All.Select(RouteOf).Distinct()], route => route.ToOption());
        Option<int> beds = new("--beds")
        {
            Description = "How many pairs of guests work at the same time; each takes up to 3 GiB of memory. Most rows wait for a timeout",
            DefaultValueFactory = _ => 3,
        };
        beds.Validators.Add(result =>
        {
            if (result.GetValue(beds) is < 1 or > MostBeds)
            {
                result.AddError($"--beds must be 1 to {MostBeds}");
            }
        });
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

            Boots soft-RoCE guests, so it runs on the host. About 40 s a row without KVM. Example:
              rdmamig-bench faults --kinds loss,disk-full --pairs rdmamig-rdmamig,qemu-rdmamig --json faults.json
            """)
        {
            kinds.Option, phases.Option, routes.Option, beds, patience, json,
        };
        command.SetAction((parsed, _) =>
        {
            FaultCase[] cases =
            [
                .. FaultCase.All.Where(cell => kinds.ValueIn(parsed).Contains(cell.Kind) && phases.ValueIn(parsed).Contains(cell.Phase)
                    && routes.ValueIn(parsed).Contains(RouteOf(cell))),
            ];
            return RunAsync(cases, TimeSpan.FromSeconds(parsed.GetValue(patience)), parsed.GetValue(json)!, parsed.GetValue(beds));
        });
        return command;
    }

    private static async Task<int> RunAsync(FaultCase[] cases, TimeSpan patience, FileInfo json, int beds)
    {
        using FaultMatrix matrix = new(cases, patience, json);
        FaultFigures figures = await matrix.RunAsync(beds);
        Report.Say(FaultMarkdown.Write(figures));
        return figures.Failures.Count > 0 ? 1 : figures.Rows.Any(row => row.Broken.Count > 0) ? Broken : 0;
    }

    private static string NameOf<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString());

    private static Route RouteOf(FaultCase cell) => new(PeerOf(cell.From), PeerOf(cell.To));

    private static Peer PeerOf(MigrationProgram program) => program is MigrationProgram.Qemu ? Peer.Qemu : Peer.Rdmamig;
}
