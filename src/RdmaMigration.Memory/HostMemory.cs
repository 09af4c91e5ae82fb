using System.Globalization;

namespace RdmaMigration.Memory;

/// <summary>What this host can give to guest RAM. Each call reads the kernel's figures anew; thread-safe.</summary>
public static class HostMemory
{
    private const string CgroupRoot = "/sys/fs/cgroup";

    /// <summary>
    /// Bytes that can be used without swapping: MemAvailable of /proc/meminfo, or what is left under this process's cgroup v2 memory.max (or an
    /// ancestor's) if that is less.
    /// </summary>
    /// <exception cref="IOException">/proc/meminfo cannot be read or has no MemAvailable.</exception>
    public static ulong Available
    {
        get
        {
            ulong available = MemAvailable(File.ReadAllText("/proc/meminfo"));
            return CgroupRemaining() is { } remaining ? Math.Min(available, remaining) : available;
        }
    }

    /// <summary>Bytes that this process may lock (RLIMIT_MEMLOCK, the soft limit), or null if unlimited. Registered memory counts against it.</summary>
    /// <exception cref="IOException">/proc/self/limits cannot be read.</exception>
    public static ulong? MemlockLimit => LimitOf(File.ReadAllText("/proc/self/limits"), "Max locked memory");

    internal static ulong MemAvailable(string meminfo)
    {
        const string Label = "MemAvailable:";
        foreach (ReadOnlySpan<char> line in meminfo.AsSpan().EnumerateLines())
        {
            if (line.StartsWith(Label, StringComparison.Ordinal))
            {
                return ulong.Parse(line[Label.Length..].Trim().TrimEnd(" kB"), CultureInfo.InvariantCulture) * 1024;
            }
        }

        throw new IOException("/proc/meminfo has no MemAvailable line");
    }

    internal static ulong? LimitOf(string limits, string label)
    {
        foreach (ReadOnlySpan<char> line in limits.AsSpan().EnumerateLines())
        {
            if (line.StartsWith(label, StringComparison.Ordinal))
            {
                ReadOnlySpan<char> soft = line[label.Length..].TrimStart();
                soft = soft[..soft.IndexOf(' ')];
                return soft.SequenceEqual("unlimited") ? null : ulong.Parse(soft, CultureInfo.InvariantCulture);
            }
        }

        throw new IOException($"/proc/self/limits has no line '{label}'");
    }

    /// <summary>The least that any memory.max from this process's cgroup up to the root leaves, or null if none is set.</summary>
    private static ulong? CgroupRemaining()
    {
        if (!File.Exists("/proc/self/cgroup"))
        {
            return null;
        }

        const string UnifiedHierarchy = "0::";
        string? line = File.ReadLines("/proc/self/cgroup").FirstOrDefault(l => l.StartsWith(UnifiedHierarchy, StringComparison.Ordinal));
        ulong? least = null;
        for (string? group = line?[UnifiedHierarchy.Length..]; group is not null; group = Path.GetDirectoryName(group))
        {
            string directory = Path.Join(CgroupRoot, group);
            if (ReadNumber(Path.Join(directory, "memory.max")) is { } max && ReadNumber(Path.Join(directory, "memory.current")) is { } current)
            {
                ulong remaining = max > current ? max - current : 0;
                least = Math.Min(least ?? remaining, remaining);
            }
        }

        return least;
    }

    /// <summary>The number in a cgroup file; null if it says "max" or the file is not there.</summary>
    private static ulong? ReadNumber(string path) =>
        File.Exists(path) && ulong.TryParse(File.ReadAllText(path).AsSpan().Trim(), CultureInfo.InvariantCulture, out ulong value) ? value : null;
}
