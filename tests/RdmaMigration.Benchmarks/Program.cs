using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using RdmaMigration.Benchmarks;

// In this process: what is measured holds gigabytes, and a machine without the SDK can run it too.
IConfig config = ManualConfig.Create(DefaultConfig.Instance)
    .AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance).WithIterationCount(12))
    .AddDiagnoser(MemoryDiagnoser.Default)
    .AddColumn(StatisticColumn.Min, new RateColumn(), new ShareColumn())
    .HideColumns("Job", "Error", "Ratio", "RatioSD", "Gen0", "Gen1", "Gen2", "Alloc Ratio");
BenchmarkSwitcher.FromAssembly(typeof(RateColumn).Assembly).Run(args, config);
