using System.Globalization;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Doctor;

/// <summary>Room for a guest's RAM, and the right to pin it.</summary>
internal static class MemoryChecks
{
    private const string Group = "memory";

    /// <summary>Pinned besides guest RAM: four 512 KiB control buffers for each of two connections.</summary>
    private const ulong ControlBuffers = 4UL << 20;

    /// <summary>No machine that anyone migrates is smaller, so a limit below this is a wall and not a ceiling.</summary>
    private const ulong SmallestMachine = 64UL << 20;

    private const int CapIpcLock = 14;

    /// <param name="tree">The host.</param>
    /// <param name="availableRam">Bytes that this host can give.</param>
    /// <param name="limits">What this process may lock and write.</param>
    /// <param name="maxRam">The machine that is expected; null when the user named none.</param>
    public static IEnumerable<HostCheck> Run(HostTree tree, ulong availableRam, ProcessLimits limits, ulong? maxRam)
    {
        string available = ByteSize.Format(availableRam);
        yield return maxRam > availableRam
            ? new HostCheck(Group, "RAM", CheckStatus.Missing, $"{available} available, need {ByteSize.Format(maxRam.Value)}",
                "free memory, or migrate a smaller machine")
            : new HostCheck(Group, "RAM", CheckStatus.Ok, $"{available} available");
        yield return Memlock(tree, limits.Memlock, availableRam, maxRam);
        if (limits.FileSize is { } fileSize)
        {
            yield return FileSize(fileSize, availableRam, maxRam);
        }

        if (HugePages(tree) is { } hugePages)
        {
            yield return new HostCheck(Group, "huge pages", CheckStatus.Ok, hugePages);
        }
    }

    private static HostCheck Memlock(HostTree tree, ulong? limit, ulong availableRam, ulong? maxRam)
    {
        const string name = "memlock limit";
        if (limit is null)
        {
            return new HostCheck(Group, name, CheckStatus.Ok, "unlimited");
        }

        string has = ByteSize.Format(limit.Value);
        if (IgnoresMemlock(tree))
        {
            return new HostCheck(Group, name, CheckStatus.Ok, $"{has}, not applied: this process has CAP_IPC_LOCK");
        }

        ulong need = (maxRam ?? availableRam) + ControlBuffers;
        if (limit >= need)
        {
            return new HostCheck(Group, name, CheckStatus.Ok, $"{has}, need {ByteSize.Format(need)}");
        }

        // Without a size asked for, a limit that lets some machine through is a ceiling to know of, not an error.
        bool ceiling = maxRam is null && limit >= SmallestMachine + ControlBuffers;
        return new HostCheck(Group, name, ceiling ? CheckStatus.Warn : CheckStatus.Missing,
            ceiling
                ? $"{has}: enough for machines up to {ByteSize.Format(limit.Value - ControlBuffers)}; the host has {ByteSize.Format(availableRam)} available"
                : $"{has}, need {ByteSize.Format(need)}: RDMA pins a machine's RAM",
            "ulimit -l unlimited  (as root; a systemd unit: LimitMEMLOCK=infinity; a container: --ulimit memlock=-1)");
    }

    private static HostCheck FileSize(ulong limit, ulong availableRam, ulong? maxRam)
    {
        const string name = "file size limit";
        string has = ByteSize.Format(limit);
        if (limit >= (maxRam ?? availableRam))
        {
            return new HostCheck(Group, name, CheckStatus.Ok, has);
        }

        CheckStatus status = maxRam is null && limit >= SmallestMachine ? CheckStatus.Warn : CheckStatus.Missing;
        return new HostCheck(Group, name, status, $"{has}: a RAM block is a file in memory, and a capture is a file; neither can be larger",
            "ulimit -f unlimited  (as root; a systemd unit: LimitFSIZE=infinity; a container: --ulimit fsize=-1)");
    }

    private static bool IgnoresMemlock(HostTree tree)
    {
        // The kernel asks for the capability in the first user namespace; root in a container of its own does not have it.
        string[]? map = tree.ReadLine("/proc/self/uid_map")?.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (map is not ["0", "0", "4294967295"])
        {
            return false;
        }

        const string field = "CapEff:";
        string? line = tree.ReadLines("/proc/self/status").FirstOrDefault(text => text.StartsWith(field, StringComparison.Ordinal));
        return line is not null
            && ulong.TryParse(line.AsSpan(field.Length).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong capabilities)
            && (capabilities >> CapIpcLock & 1) != 0;
    }

    private static string? HugePages(HostTree tree)
    {
        const string folder = "/sys/kernel/mm/hugepages";
        List<string> pools = new();
        foreach (string pool in tree.Entries(folder))
        {
            ReadOnlySpan<char> size = pool.AsSpan(pool.IndexOf('-') + 1).TrimEnd("kB");
            if (ulong.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out ulong kib))
            {
                string free = tree.ReadLine($"{folder}/{pool}/free_hugepages") ?? "?";
                string all = tree.ReadLine($"{folder}/{pool}/nr_hugepages") ?? "?";
                pools.Add($"{ByteSize.Format(kib << 10)}: {free} of {all} free");
            }
        }

        if (tree.ReadLine("/sys/kernel/mm/transparent_hugepage/shmem_enabled") is { } shmem
            && shmem.IndexOf('[') is >= 0 and var open && shmem.IndexOf(']') is var close && close > open)
        {
            pools.Add($"transparent for shared memory: {shmem[(open + 1)..close]}");
        }

        return pools.Count == 0 ? null : string.Join("; ", pools);
    }
}
