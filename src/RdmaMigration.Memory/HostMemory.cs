using System.Globalization;
using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>What this host can give to guest RAM. Each call reads the kernel's figures anew; thread-safe.</summary>
internal static class HostMemory
{
    /// <summary>
    /// Bytes that can be used without swapping: MemAvailable of /proc/meminfo, or what the lowest limit of this process's memory cgroup and its ancestors
    /// leaves if that is less. Without /proc it is what nothing uses at all, which is less than could be used.
    /// </summary>
    /// <exception cref="MigrationException">/proc/meminfo has no MemAvailable.</exception>
    public static ulong Available => AvailableBelow("/");

    /// <param name="root">Where /proc and /sys are; another one in tests.</param>
    internal static ulong AvailableBelow(string root)
    {
        string meminfo = Path.Join(root, "proc/meminfo");
        ulong available = File.Exists(meminfo) ? MemAvailable(File.ReadAllText(meminfo)) : SystemMemory.FreeBytes;
        return CgroupMemory.Remaining(root) is { } remaining ? Math.Min(available, remaining) : available;
    }

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

        throw new MigrationException(FailureReason.Memory, "/proc/meminfo has no MemAvailable line");
    }
}
