using System.CommandLine;
using RdmaMigration.Bench;
using RdmaMigration.Bench.Bars;
using RdmaMigration.Bench.Faults;
using RdmaMigration.Bench.Guests;
using RdmaMigration.Bench.Matrix;
using RdmaMigration.Bench.Micro;

Option<int> pairs = new("--repeats") { Description = "How often each is measured, interleaved", DefaultValueFactory = _ => 5 };
Option<int> killPairs = new("--repeats") { Description = "How often each is measured, interleaved", DefaultValueFactory = _ => 20 };
Option<int> size = new("--ram") { Description = "The machine's RAM in MiB, all of it random", DefaultValueFactory = _ => 512 };
Option<string> machine = new("--machine") { Description = "QEMU's -M", DefaultValueFactory = _ => "pc" };
Option<FileInfo?> json = new("--json") { Description = "Also write the figures to this file" };

Command totalTime = new("total-time", "total-time of QEMU → QEMU and of QEMU → rdmamig, dynamic and pin-all, beside ib_write_bw")
{
    pairs, size, machine, json,
};
totalTime.SetAction((parsed, _) => TotalTime.RunAsync(
    parsed.GetValue(pairs), parsed.GetValue(size), parsed.GetValue(machine)!, parsed.GetValue(json)));

Command killToError = new("kill-to-error", "from kill -9 of the source to the destination's failure, QEMU and rdmamig") { killPairs, json };
killToError.SetAction((parsed, _) => KillTimes.RunAsync(parsed.GetValue(killPairs), parsed.GetValue(json)));

Command footprint = new("footprint", "rdmamig's size, the time of --help, and its memory beyond the guest's RAM") { size, json };
footprint.SetAction((parsed, _) => Footprint.RunAsync(parsed.GetValue(size), parsed.GetValue(json)));

RootCommand root = new("Figures of rdmamig beside a real QEMU. Runs where there is an RDMA device: docker/softroce/softroce run.")
{
    MatrixCommand.Create(), MatrixCommand.CreatePlot(), GuestCommand.Create(), totalTime, killToError, footprint, FaultsCommand.Create(), MicroCommand.Create(),
};
foreach (Command bar in BarCommands.Create())
{
    root.Add(bar);
}

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (e is IOException or InvalidDataException or InvalidOperationException or TimeoutException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
