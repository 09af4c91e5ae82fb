using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Streams;

namespace RdmaMigration.Bench.Bars;

/// <summary>
/// What it costs a program that its writes are tracked, beside a minor fault: the first write to a page that is there and not mapped. Each kind that works on
/// this kernel. And what an idle machine of 1 TiB of which little is used costs: its tracker alone, and an iteration of the engine. Needs no RDMA device.
/// </summary>
internal static class TrackingCost
{
    private const ulong Page = RamBlock.LengthUnit;
    private const double WriteBound = 2;
    private const double ReadBound = 1.1;
    private const double AsyncBound = 0.5;
    private const double IdleBound = 100;
    private const double BookkeepingBound = 64;
    private const ulong SparseBytes = 1UL << 40;
    private const string MinorFault = "minor fault";

    public static Command Create()
    {
        Option<int> rounds = new("--repeats") { Description = "How often each is measured, interleaved", DefaultValueFactory = _ => 7 };
        Option<int> ram = new("--ram") { Description = "The block that is written, in MiB", DefaultValueFactory = _ => 128 };
        Option<FileInfo?> json = new("--json") { Description = "Also write the figures to this file" };
        Command command = new(
            "dirty-tracking",
            "a page's first write in a pass: at most 2 minor faults; asynchronous at most half of synchronous; reads cost nothing; a sparse machine of 1 TiB: "
            + "64 MiB of bookkeeping, 100 ms for an idle iteration. Needs no RDMA device. Exit code 3 if not.")
        {
            rounds, ram, json,
        };
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(rounds), parsed.GetValue(ram), parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(int rounds, int mebibytes, FileInfo? json)
    {
        using RamBlock block = RamBlock.Allocate("tracked", (ulong)mebibytes << 20);
        block.Slice(0, (int)block.Length).Fill(1);
        DirtyTracking[] kinds = [.. Enum.GetValues<DirtyTracking>().Where(kind => kind != DirtyTracking.Explicit && Works(kind, block))];
        Contestant[] contestants =
        [
            new(MinorFault, order => Untracked(block, order)),
            .. kinds.Select(kind => new Contestant(DirtyTrackers.Name(kind), order => Tracked(block, kind, order))),
        ];
        int[] sequential = [.. Enumerable.Range(0, (int)(block.Length / Page))];
        int[] shuffled = [.. sequential];
        new Random(1).Shuffle(shuffled);
        foreach (Contestant contestant in contestants)
        {
            // Not counted: compiles the code.
            _ = contestant.Measure(shuffled);
        }

        Progress progress = new(rounds * contestants.Length);
        for (int round = 0; round < rounds; round++)
        {
            foreach (Contestant contestant in Interleaving.Turn(contestants, round))
            {
                _ = await progress.StepAsync(
                    contestant.Name, () => Task.FromResult(contestant.Add(sequential, shuffled)), pass => Report.Text($"{pass.WriteNanoseconds:0} ns"));
            }
        }

        Report.Table(
            Report.Text($"ns a page of 4 KiB, {mebibytes} MiB, medians of {rounds}, Linux {Environment.OSVersion.Version}"),
            ["", "first write, at random", "in order", "read, at random", "collect", "start"],
            contestants.Select(c => new[]
            {
                c.Name,
                c.Text(p => p.WriteNanoseconds),
                c.Text(p => p.OrderedWriteNanoseconds),
                c.Text(p => p.ReadNanoseconds),
                c.Text(p => p.CollectNanoseconds),
                c.Text(p => p.StartNanoseconds),
            }));
        List<Bar> bars = new();
        double minorFault = contestants[0].Median(p => p.WriteNanoseconds);
        double untrackedRead = contestants[0].Median(p => p.ReadNanoseconds);
        foreach (Contestant c in contestants.Skip(1))
        {
            bars.Add(new Bar($"first write in a pass, {c.Name} / minor fault", c.Median(p => p.WriteNanoseconds) / minorFault, WriteBound));
            bars.Add(new Bar($"read, {c.Name} / untracked", c.Median(p => p.ReadNanoseconds) / untrackedRead, ReadBound));
        }

        if (kinds.Contains(DirtyTracking.WriteProtectAsync) && kinds.Contains(DirtyTracking.WriteProtect))
        {
            double asynchronous = contestants[1 + Array.IndexOf(kinds, DirtyTracking.WriteProtectAsync)].Median(p => p.WriteNanoseconds);
            double synchronous = contestants[1 + Array.IndexOf(kinds, DirtyTracking.WriteProtect)].Median(p => p.WriteNanoseconds);
            bars.Add(new Bar("first write in a pass, asynchronous / synchronous", asynchronous / synchronous, AsyncBound));
        }

        foreach (DirtyTracking kind in kinds.Append(DirtyTracking.Explicit))
        {
            IdleMachine idle = Sparse(kind);
            string name = $"1 TiB, sparse, {DirtyTrackers.Name(kind)}";
            bars.Add(new Bar($"{name}: an idle pass of the tracker, ms", idle.TrackerMilliseconds, IdleBound));
            bars.Add(new Bar($"{name}: an idle iteration of the engine, ms", idle.IterationMilliseconds, IdleBound));
            bars.Add(new Bar($"{name}: bookkeeping of the engine, MiB", idle.Mebibytes, BookkeepingBound));
        }

        return await Bar.ReportAsync("", bars, contestants.Select(c => new { c.Name, c.Passes }), json);
    }

    private static bool Works(DirtyTracking kind, RamBlock block)
    {
        try
        {
            DirtyTrackers.Create([block], kind, _ => { }).Dispose();
            return true;
        }
        catch (MigrationException e)
        {
            Report.Say(e.Message);
            return false;
        }
    }

    private static unsafe Pass Untracked(RamBlock block, int[] order)
    {
        Drop();
        double write = Write(block, order);
        double read = Read(block, order);
        return new Pass(write, 0, read, 0, 0);

        void Drop() => _ = MemoryFile.Forget(block.Pointer, block.Length).OrThrow("madvise");
    }

    /// <summary>Writes and reads are of pages that an earlier pass has collected: each is in the state in which a pass begins.</summary>
    private static Pass Tracked(RamBlock block, DirtyTracking kind, int[] order)
    {
        using IDirtyTracker tracker = DirtyTrackers.Create([block], kind, _ => { });
        long begin = Stopwatch.GetTimestamp();
        tracker.Start();
        double start = PerPage(begin, order.Length);
        _ = Write(block, order);
        _ = Collect(tracker, block, order.Length);
        double write = Write(block, order);
        double collect = Collect(tracker, block, order.Length);
        double read = Read(block, order);
        _ = Collect(tracker, block, pages: 0);
        return new Pass(write, 0, read, collect, start);
    }

    /// <returns>Nanoseconds for each page of the block.</returns>
    private static double Collect(IDirtyTracker tracker, RamBlock block, int pages)
    {
        PageBitmap found = new(block);
        long begin = Stopwatch.GetTimestamp();
        ulong collected = tracker.Collect(0, found);
        double time = PerPage(begin, (int)(block.Length / Page));
        return collected == (ulong)pages ? time : throw new InvalidDataException($"{tracker.Kind}: {collected} pages were found, and {pages} were written");
    }

    private static unsafe double Write(RamBlock block, int[] order)
    {
        byte* pointer = block.Pointer;
        long begin = Stopwatch.GetTimestamp();
        foreach (int page in order)
        {
            pointer[(ulong)page * Page] = (byte)page;
        }

        return PerPage(begin, order.Length);
    }

    private static unsafe double Read(RamBlock block, int[] order)
    {
        byte* pointer = block.Pointer;
        int sum = 0;
        long begin = Stopwatch.GetTimestamp();
        foreach (int page in order)
        {
            sum += pointer[(ulong)page * Page];
        }

        double time = PerPage(begin, order.Length);
        return sum >= 0 ? time : throw new InvalidDataException("bytes are not negative");
    }

    private static double PerPage(long begin, int pages) => Stopwatch.GetElapsedTime(begin).TotalNanoseconds / pages;

    /// <summary>
    /// A machine of which 64 pieces of 4 MiB are used, and that writes nothing. An iteration of the engine is what a source does again and again until it
    /// converges: it sends the pages of the last pass, and collects those of the next. They go to a sink that drops them. The first pass, over all of RAM, is
    /// not measured: it announces 268 million pages.
    /// </summary>
    private static IdleMachine Sparse(DirtyTracking kind)
    {
        const ulong pieces = 64;
        using RamBlockList ram = RamBlockList.Allocate([new RamBlockDescription("sparse", SparseBytes)], ulong.MaxValue);
        for (ulong i = 0; i < pieces; i++)
        {
            ram[0].Slice(i * (SparseBytes / pieces), 4 << 20).Fill(1);
        }

        double before = OwnMebibytes();
        using LivePasses passes = new(ram, DirtyTrackers.Create(ram, kind, _ => { }));
        OutgoingStream stream = new(new NoSink());
        RamSectionForm form = new(SectionId: 1, HasFooters: true, Wire.DefaultPageSize);
        passes.Start();
        List<double> tracker = [];
        List<double> iteration = [];
        for (int i = 0; i < 11; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            stream.WriteRamPass(form, ram, passes, SparseBytes, isLast: false);
            passes.Clear();
            long collecting = Stopwatch.GetTimestamp();
            long pages = passes.Collect();
            tracker.Add(Stopwatch.GetElapsedTime(collecting).TotalMilliseconds);
            iteration.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
            if (pages != 0)
            {
                throw new InvalidDataException($"{kind}: {pages} pages were found, but nothing was written");
            }
        }

        return new IdleMachine(OwnMebibytes() - before, Statistic.Of(tracker).Median, Statistic.Of(iteration).Median);
    }

    /// <summary>Private memory and page tables of this process.</summary>
    private static double OwnMebibytes()
    {
        // Gives back to the kernel what an earlier measurement has left.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return File.ReadLines("/proc/self/status")
            .Where(line => line.StartsWith("RssAnon:", StringComparison.Ordinal) || line.StartsWith("VmPTE:", StringComparison.Ordinal))
            .Sum(line => double.Parse(line.Split(':')[1].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture)) / 1024;
    }

    /// <summary>What a machine costs that writes nothing.</summary>
    private sealed record IdleMachine(double Mebibytes, double TrackerMilliseconds, double IterationMilliseconds);

    /// <summary>Takes everything and keeps nothing.</summary>
    private sealed class NoSink : IStreamSink
    {
        public void Write(ReadOnlySpan<byte> bytes)
        {
        }

        public void WriteGather(ReadOnlySpan<IoSegment> segments)
        {
        }
    }

    /// <summary>Nanoseconds a page.</summary>
    private sealed record Pass(
        double WriteNanoseconds, double OrderedWriteNanoseconds, double ReadNanoseconds, double CollectNanoseconds, double StartNanoseconds);

    private sealed record Contestant(string Name, Func<int[], Pass> Measure)
    {
        public List<Pass> Passes { get; } = [];

        public Pass Add(int[] sequential, int[] shuffled)
        {
            Pass ordered = Measure(sequential);
            Pass pass = Measure(shuffled) with { OrderedWriteNanoseconds = ordered.WriteNanoseconds };
            Passes.Add(pass);
            return pass;
        }

        public double Median(Func<Pass, double> figure) => Statistic.Of(Passes.Select(figure)).Median;

        public string Text(Func<Pass, double> figure) => Statistic.Of(Passes.Select(figure)).ToText("0");
    }
}
