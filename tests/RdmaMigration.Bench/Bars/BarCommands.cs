using System.CommandLine;

namespace RdmaMigration.Bench.Bars;

/// <summary>The commands that measure one promise each. Exit code 0: it holds; 3: it does not; 1: it could not be measured.</summary>
internal static class BarCommands
{
    private delegate Task<int> Measurement(int rounds, int mebibytes, string machineType, FileInfo? json);

    public static IEnumerable<Command> Create() =>
    [
        Create("send-time", "rdmamig → QEMU dynamic beside QEMU → QEMU pin-all: total time at most 1.15 times", 5, SendTime.RunAsync),
        Create("throughput", "rdmamig → rdmamig beside ib_write_bw with 1 MiB: at least 0.95 of it", 3, Throughput.RunAsync),
        Sparse.Create(),
        ControlLatency.Create(),
        TrackingCost.Create(),
        Moves.Create(),
        VerifyCost.Create(),
        Create("cpu", "user CPU per GiB of rdmamig beside QEMU's, sending and receiving: at most as much", 3, ProcessorUse.RunAsync),
    ];

    private static Command Create(string name, string description, int standardRounds, Measurement measure)
    {
        Option<int> rounds = new("--repeats") { Description = "How often each is measured, interleaved", DefaultValueFactory = _ => standardRounds };
        Option<int> ram = new("--ram") { Description = "The machine's RAM in MiB, all of it random", DefaultValueFactory = _ => 512 };
        Option<string> machine = new("--machine") { Description = "QEMU's -M", DefaultValueFactory = _ => "pc" };
        Option<FileInfo?> json = new("--json") { Description = "Also write the figures to this file" };
        Command command = new(name, description + ". Exit code 3 if not.") { rounds, ram, machine, json };
        command.SetAction((parsed, _) => measure(
            parsed.GetValue(rounds), parsed.GetValue(ram), parsed.GetValue(machine)!, parsed.GetValue(json)));
        return command;
    }
}
