using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Bench.Bars;

/// <summary>
/// What it costs a program that its writes are tracked, beside a minor fault: the first write to a page that is there and not mapped. Each kind that works on
/// this kernel. And what tracking costs a machine of 1 TiB of which little is used. Needs no RDMA device.
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
            + "64 MiB of bookkeeping, 100 ms for an idle pass. Needs no RDMA device. Exit code 3 if not.")
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
            (double megabytes, double milliseconds) = Sparse(kind);
            bars.Add(new Bar($"1 TiB, sparse, {DirtyTrackers.Name(kind)}: an idle pass, ms", milliseconds, IdleBound));
            bars.Add(new Bar($"1 TiB, sparse, {DirtyTrackers.Name(kind)}: bookkeeping, MiB", megabytes, BookkeepingBound));
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

    private static Pass Tracked(RamBlock block, DirtyTracking kind, int[] order)
    {
        using IDirtyTracker tracker = DirtyTrackers.Create([block], kind, _ => { });
        PageBitmap found = new(block);
        long begin = Stopwatch.GetTimestamp();
        tracker.Start();
        double start = PerPage(begin, order.Length);
        double read = Read(block, order);
        double write = Write(block, order);
        begin = Stopwatch.GetTimestamp();
        ulong collected = tracker.Collect(0, found);
        double collect = PerPage(begin, order.Length);
        return collected == (ulong)order.Length
            ? new Pass(write, 0, read, collect, start)
            : throw new InvalidDataException($"{kind}: {collected} pages of {order.Length} were found");
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

    /// <summary>A machine of which 64 pieces of 4 MiB are used: the time of a pass when nothing was written, and the memory that tracking it takes.</summary>
    private static (double Mebibytes, double Milliseconds) Sparse(DirtyTracking kind)
    {
        const ulong pieces = 64;
        using RamBlock block = RamBlock.Allocate("sparse", SparseBytes);
        for (ulong i = 0; i < pieces; i++)
        {
            block.Slice(i * (SparseBytes / pieces), 4 << 20).Fill(1);
        }

        double before = OwnMebibytes();
        using IDirtyTracker tracker = DirtyTrackers.Create([block], kind, _ => { });
        PageBitmap dirty = new(block);
        tracker.Start();
        List<double> milliseconds = new();
        for (int i = 0; i < 11; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            _ = tracker.Collect(0, dirty);
            ulong pages = 0;
            for (ulong page = 0; dirty.TryNext(page, out ulong start, out ulong end); page = end)
            {
                pages += end - start;
            }

            if (pages != 0)
            {
                throw new InvalidDataException($"{kind}: {pages} pages were found, but nothing was written");
            }

            milliseconds.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
        }

        double taken = OwnMebibytes() - before;
        return (taken, Statistic.Of(milliseconds).Median);
    }

    /// <summary>Private memory and page tables of this process.</summary>
    private static double OwnMebibytes()
    {
        GC.Collect();
        return File.ReadLines("/proc/self/status")
            .Where(line => line.StartsWith("RssAnon:", StringComparison.Ordinal) || line.StartsWith("VmPTE:", StringComparison.Ordinal))
            .Sum(line => double.Parse(line.Split(':')[1].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture)) / 1024;
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
