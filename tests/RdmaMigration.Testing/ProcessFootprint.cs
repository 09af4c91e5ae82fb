using System.Globalization;

namespace RdmaMigration.Testing;

/// <summary>What a process holds, as the kernel counts it; of files without the assemblies.</summary>
public sealed record ProcessFootprint(int Threads, int Files, int Mappings, int MigrationThreads, int RamMappings)
{
    public static ProcessFootprint Of(int pid)
    {
        string[] mappings = File.ReadAllLines($"/proc/{pid}/maps");
        string[] threads = ThreadsOf(pid);
        return new ProcessFootprint(
            threads.Length,
            OpenFiles.Names(pid).Count(),
            mappings.Length,
            threads.Count(t => t.StartsWith("mig/", StringComparison.Ordinal) || t.StartsWith("rdma/", StringComparison.Ordinal)),
            mappings.Count(m => m.Contains("rdmamig:", StringComparison.Ordinal)));
    }

    /// <summary>The names of a process's threads.</summary>
    public static string[] ThreadsOf(int pid) => [.. Directory.EnumerateDirectories($"/proc/{pid}/task").Select(NameOf).OfType<string>()];

    /// <summary>A member of /proc/PID/status in kB, such as VmHWM, as bytes.</summary>
    public static long Bytes(int pid, string member)
    {
        string line = File.ReadLines($"/proc/{pid}/status").First(l => l.StartsWith(member + ":", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(member.Length + 1).Trim().ToString().Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>Null for a thread that has ended meanwhile.</summary>
    private static string? NameOf(string task)
    {
        try
        {
            return File.ReadAllText($"{task}/comm").Trim();
        }
        catch (IOException) when (!Directory.Exists(task))
        {
            return null;
        }
    }
}
