using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>Chooses how the writes to a machine's blocks are tracked.</summary>
internal static class DirtyTrackers
{
    /// <summary>
    /// Up to this size of a machine, soft-dirty bits come before synchronous write protection: a page's first write costs less than a minor fault with them,
    /// and 3 with synchronous write protection (60 and more where switching threads is slow, as in an emulated machine). In return each pass, also the last
    /// one while the machine is stopped, reads 8 bytes for each page of used memory: some 10 ms a GiB. Synchronous write protection looks at written pages
    /// only.
    /// </summary>
    private const ulong MostForSoftDirty = 16UL << 30;

    /// <summary>Creates the tracker that is asked for, or the best that works here. Each is tried: on a small block, and on the blocks themselves.</summary>
    /// <param name="blocks">The blocks, which stay allocated until the tracker is disposed.</param>
    /// <param name="wish">The kind, or null for the best that needs no help of the program.</param>
    /// <param name="log">Takes a line: what was chosen, and why a better one was not.</param>
    /// <returns>The tracker, not started. The caller disposes it.</returns>
    /// <exception cref="MigrationException">None works; the message says why.</exception>
    public static IDirtyTracker Create(IReadOnlyList<RamBlock> blocks, DirtyTracking? wish, Action<string> log)
    {
        List<string> refusals = new();
        foreach (DirtyTracking kind in wish is { } one ? [one] : ByItself(blocks))
        {
            try
            {
                IDirtyTracker tracker = CreateTried(blocks, kind);
                log($"written pages are tracked by {Name(kind)}{(refusals.Count == 0 ? "" : $" (not by {string.Join("; not by ", refusals)})")}");
                return tracker;
            }
            catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException or DllNotFoundException)
            {
                refusals.Add($"{Name(kind)}: {refusal.Message}");
            }
        }

        throw new MigrationException(
            FailureReason.Policy,
            $"written pages cannot be tracked here ({string.Join("; ", refusals)}): solve one of these; "
            + "a program can also choose explicit marking and mark every write");
    }

    /// <summary>
    /// The kinds that need no help of the program, the best first. <see cref="DirtyTracking.Explicit"/> is not among them: a program that does not know that
    /// it has to mark its writes would lose them.
    /// </summary>
    internal static IEnumerable<DirtyTracking> ByItself(IReadOnlyList<RamBlock> blocks) =>
        blocks.Aggregate(0UL, (sum, block) => sum + block.Length) <= MostForSoftDirty
            ? [DirtyTracking.WriteProtectAsync, DirtyTracking.SoftDirty, DirtyTracking.WriteProtect]
            : [DirtyTracking.WriteProtectAsync, DirtyTracking.WriteProtect, DirtyTracking.SoftDirty];

    /// <summary>The kind in a log line.</summary>
    public static string Name(DirtyTracking kind) => kind switch
    {
        DirtyTracking.WriteProtectAsync => "asynchronous write protection",
        DirtyTracking.WriteProtect => "synchronous write protection",
        DirtyTracking.SoftDirty => "soft-dirty bits",
        DirtyTracking.Explicit => "explicit marking",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    private static IDirtyTracker CreateTried(IReadOnlyList<RamBlock> blocks, DirtyTracking kind)
    {
        if (kind != DirtyTracking.Explicit)
        {
            TryOnSmallBlock(kind);
        }

        IDirtyTracker tracker = CreateUntried(blocks, kind);
        try
        {
            // Memory of some kind may not do: the kernel says so when it is registered.
            tracker.Start();
            tracker.Stop();
            return tracker;
        }
        catch
        {
            tracker.Dispose();
            throw;
        }
    }

    private static IDirtyTracker CreateUntried(IReadOnlyList<RamBlock> blocks, DirtyTracking kind) => kind switch
    {
        DirtyTracking.WriteProtectAsync => new AsyncTracker(blocks),
        DirtyTracking.WriteProtect => new SyncTracker(blocks),
        DirtyTracking.SoftDirty => new SoftDirtyTracker(blocks),
        DirtyTracking.Explicit => new ExplicitTracker(blocks),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>Whether the kernel does what the tracker relies on: a write to a page, to a page collected before, and to a hole, each found once.</summary>
    private static void TryOnSmallBlock(DirtyTracking kind)
    {
        const int pages = 16;
        using RamBlock block = RamBlock.Allocate("tracking-probe", pages * RamBlock.LengthUnit);
        using IDirtyTracker tracker = CreateUntried([block], kind);
        Write(block, 0, 1, 2);
        tracker.Start();
        Expect(tracker, kind, 0);
        Write(block, 1);
        Expect(tracker, kind, 1 << 1);
        Write(block, 1, 9);
        Expect(tracker, kind, (1 << 1) | (1 << 9));
        tracker.Stop();
    }

    private static void Write(RamBlock block, params ReadOnlySpan<ulong> pages)
    {
        foreach (ulong page in pages)
        {
            block.Slice(page * RamBlock.LengthUnit, 1)[0]++;
        }
    }

    private static void Expect(IDirtyTracker tracker, DirtyTracking kind, uint expected)
    {
        PageBitmap found = new(16);
        _ = tracker.Collect(0, found);
        uint bits = 0;
        for (ulong page = 0; found.TryNext(page, out ulong start, out page);)
        {
            bits |= ((1U << (int)page) - 1) & (uint.MaxValue << (int)start);
        }

        if (kind == DirtyTracking.SoftDirty && bits == 0 && expected != 0)
        {
            throw new MigrationException(FailureReason.Policy, "the kernel has none (CONFIG_MEM_SOFT_DIRTY)");
        }

        if (bits != expected)
        {
            throw new MigrationException(
                FailureReason.Policy, $"the kernel reported written pages 0x{bits:x} of a test of {Name(kind)}, not 0x{expected:x}");
        }
    }
}
