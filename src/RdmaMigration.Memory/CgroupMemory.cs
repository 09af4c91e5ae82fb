using System.Globalization;

namespace RdmaMigration.Memory;

/// <summary>
/// What the memory cgroups of this process leave to it. A cgroup is limited by each of its ancestors too, so the lowest limit counts. Both versions are read,
/// wherever they are mounted. A file that is absent or cannot be read limits nothing.
/// </summary>
internal static class CgroupMemory
{
    private static readonly Version2 s_version2 = new();
    private static readonly Version1 s_version1 = new();

    /// <summary>Bytes, or null when no cgroup limits this process or /proc is not there.</summary>
    /// <param name="root">Where /proc and /sys are; another one in tests.</param>
    public static ulong? Remaining(string root)
    {
        ulong? least = null;
        string[] groups = ReadLines(Path.Join(root, "proc/self/cgroup"));
        foreach (string mount in ReadLines(Path.Join(root, "proc/self/mountinfo")))
        {
            // ID PARENT MAJOR:MINOR ROOT MOUNT-POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS
            string[] fields = mount.Split(' ');
            int dash = Array.IndexOf(fields, "-");
            if (dash < 5 || fields.Length < dash + 4)
            {
                continue;
            }

            Hierarchy? hierarchy = fields[dash + 1] switch
            {
                "cgroup2" => s_version2,
                "cgroup" when fields[dash + 3].Split(',').Contains("memory") => s_version1,
                _ => null,
            };
            if (hierarchy is not null && hierarchy.GroupIn(groups) is { } group)
            {
                string top = Path.Join(root, fields[4].Replace("\\040", " ", StringComparison.Ordinal));
                least = Least(least, RemainingIn(hierarchy, top, Below(fields[3], group)));
            }
        }

        return least;
    }

    private static ulong? RemainingIn(Hierarchy hierarchy, string top, string group)
    {
        ulong? least = null;
        for (string directory = Path.Join(top, group).TrimEnd('/'); directory.Length >= top.Length; directory = Path.GetDirectoryName(directory) ?? "")
        {
            least = Least(least, hierarchy.RemainingIn(directory));
        }

        return least;
    }

    /// <summary>
    /// The group's path below the mount. A container may see only its own group there, or be told of one outside; then the mount's top is all there
    /// is.
    /// </summary>
    private static string Below(string mountRoot, string group) =>
        mountRoot == "/" && !group.StartsWith("/..", StringComparison.Ordinal) ? group
        : group.StartsWith(mountRoot + '/', StringComparison.Ordinal) ? group[mountRoot.Length..]
        : "";

    private static ulong? Least(ulong? one, ulong? other) => one is null || other < one ? other ?? one : one;

    private static string[] ReadLines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception absent) when (absent is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The number in a file of a cgroup; null if it says "max" or there is no such file.</summary>
    private static ulong? Number(string directory, string file) =>
        ReadLines(Path.Join(directory, file)) is [string line, ..] && ulong.TryParse(line, CultureInfo.InvariantCulture, out ulong value) ? value : null;

    /// <summary>The page cache of files, which the kernel drops before it refuses memory; memory files are not in it.</summary>
    private static ulong PageCache(string directory, string prefix)
    {
        ulong sum = 0;
        foreach (string line in ReadLines(Path.Join(directory, "memory.stat")))
        {
            if ((line.StartsWith($"{prefix}active_file ", StringComparison.Ordinal) || line.StartsWith($"{prefix}inactive_file ", StringComparison.Ordinal))
                && ulong.TryParse(line.AsSpan(line.IndexOf(' ') + 1), CultureInfo.InvariantCulture, out ulong bytes))
            {
                sum += bytes;
            }
        }

        return sum;
    }

    private static ulong? Remaining(ulong? limit, ulong? used, ulong cache)
    {
        ulong kept = used > cache ? used.Value - cache : 0;
        return limit is null || used is null ? null : limit > kept ? limit - kept : 0;
    }

    /// <summary>One of the two versions: how its groups are named in /proc/self/cgroup, and its files.</summary>
    private abstract class Hierarchy
    {
        /// <summary>The path of this process's group; null when it has none.</summary>
        public abstract string? GroupIn(string[] lines);

        /// <summary>What the limit of one group leaves; null when it has no limit.</summary>
        public abstract ulong? RemainingIn(string directory);
    }

    private sealed class Version2 : Hierarchy
    {
        public override string? GroupIn(string[] lines) => Array.Find(lines, line => line.StartsWith("0::", StringComparison.Ordinal))?[3..];

        /// <summary>Beyond memory.high the kernel takes memory away again and slows the process down, so it is a limit too.</summary>
        public override ulong? RemainingIn(string directory) => Remaining(
            Least(Number(directory, "memory.max"), Number(directory, "memory.high")), Number(directory, "memory.current"), PageCache(directory, ""));
    }

    private sealed class Version1 : Hierarchy
    {
        // ID:CONTROLLER,CONTROLLER:PATH
        public override string? GroupIn(string[] lines) =>
            lines.Select(line => line.Split(':', 3)).FirstOrDefault(fields => fields.Length == 3 && fields[1].Split(',').Contains("memory"))?[2];

        public override ulong? RemainingIn(string directory) => Remaining(
            Number(directory, "memory.limit_in_bytes"), Number(directory, "memory.usage_in_bytes"), PageCache(directory, "total_"));
    }
}
