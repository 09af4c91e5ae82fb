using System.CommandLine;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace RdmaMigration.Bench.Micro;

/// <summary>`micro`: the zero scan and the page path on one core, without a device, measured by BenchmarkDotNet.</summary>
internal static class MicroCommand
{
    public static Command Create()
    {
        Argument<string[]> options = new("options")
        {
            Description = "Options of BenchmarkDotNet, after --: -- --filter '*ZeroScan*'; without any, every benchmark runs",
            DefaultValueFactory = _ => [],
        };
        Command command = new("micro", "Zero scan and page path on one core, by BenchmarkDotNet; needs no RDMA device") { options };
        command.SetAction(parsed => Run(parsed.GetValue(options)!));
        return command;
    }

    private static int Run(string[] options)
    {
        // In this process: the benchmarks hold gigabytes, and a machine without the SDK can run them too.
        IConfig config = ManualConfig.Create(DefaultConfig.Instance)
            .AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance).WithIterationCount(12))
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddColumn(StatisticColumn.Min, new RateColumn(), new ShareColumn())
            .HideColumns("Job", "Error", "Ratio", "RatioSD", "Gen0", "Gen1", "Gen2", "Alloc Ratio");
        if (options.Length == 0)
        {
            options = ["--filter", "*"];
        }

        BenchmarkSwitcher.FromAssembly(typeof(MicroCommand).Assembly).Run(options, config);
        return 0;
    }
}
