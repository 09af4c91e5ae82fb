using System.CommandLine;
using RdmaMigration.Demo;

Option<int> ram = new("--ram") { Description = "RAM of the machine in MiB; half of it is random, half is zero", DefaultValueFactory = _ => 256 };
Option<string> machineType = new("--machine") { Description = "QEMU's machine type", DefaultValueFactory = _ => "pc" };
RootCommand root = new("""
    Migrates a paused machine from a real QEMU into rdmamig receive, and from the captured file with rdmamig send into a second QEMU: once with dynamic
    registration, once with pin-all. Compares the memory of both machines byte for byte. Then moves a .NET machine between two processes while it writes
    memory. The exit code is 0 if the machines are identical, the second one runs, and no write was lost.
    """) { ram, machineType };
root.SetAction(async (parsed, _) =>
{
    using RoundTrip trip = new(parsed.GetValue(machineType)!, parsed.GetValue(ram));
    Console.WriteLine($"A paused {parsed.GetValue(machineType)} machine with {parsed.GetValue(ram)} MiB of RAM, half random, half zero:");
    Console.WriteLine("QEMU → RDMA → rdmamig receive → file → rdmamig send → RDMA → QEMU");
    Console.WriteLine();
    RoundTripResult[] results = [await trip.RunAsync(pinAll: false), await trip.RunAsync(pinAll: true)];
    Console.WriteLine(RoundTripResult.Columns);
    foreach (RoundTripResult result in results)
    {
        Console.WriteLine(result);
    }

    Console.WriteLine();
    Console.WriteLine($"A .NET machine with {LiveMove.Mebibytes} MiB of RAM, which writes {LiveMove.MebibytesPerSecond} MiB/s meanwhile:");
    Console.WriteLine("rdmamig guest → RDMA → rdmamig guest");
    Console.WriteLine();
    LiveMove move = await LiveMove.RunAsync();
    Console.WriteLine(LiveMove.Columns);
    Console.WriteLine(move);
    return Array.TrueForAll(results, result => result.Succeeded) && move.Succeeded ? 0 : 1;
});

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (e is IOException or InvalidOperationException or TimeoutException)
{
    await Console.Error.WriteLineAsync($"rdmamig-demo: {e.Message}");
    return 1;
}
