using System.Globalization;
using System.Text.Json;

namespace RdmaMigration.Interop.Harness;

/// <summary>What a process holds, as the kernel counts it.</summary>
internal sealed record ProcessFootprint(int Threads, int Files, int Mappings, int MigrationThreads, int RamMappings)
{
    public static ProcessFootprint Of(int pid)
    {
        string[] mappings = File.ReadAllLines($"/proc/{pid}/maps");
        string[] threads = [.. Directory.EnumerateDirectories($"/proc/{pid}/task").Select(t => File.ReadAllText($"{t}/comm").Trim())];
        return new ProcessFootprint(
            threads.Length,
            Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd").Count(),
            mappings.Length,
            threads.Count(t => t.StartsWith("mig/", StringComparison.Ordinal) || t.StartsWith("rdma/", StringComparison.Ordinal)),
            mappings.Count(m => m.Contains("rdmamig:", StringComparison.Ordinal)));
    }

    /// <summary>A member of /proc/PID/status in kB, such as VmHWM, as bytes.</summary>
    public static long Bytes(int pid, string member)
    {
        string line = File.ReadLines($"/proc/{pid}/status").First(l => l.StartsWith(member + ":", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(member.Length + 1).Trim().ToString().Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
    }
}

/// <summary>How many verbs objects the RDMA stack holds, by `rdma resource`.</summary>
internal sealed record VerbsObjects(int ProtectionDomains, int CompletionQueues, int QueuePairs, int Ids, int MemoryRegions)
{
    /// <summary>Those of one process, over all devices.</summary>
    public static async Task<VerbsObjects> OfAsync(int pid) => new(
        await CountAsync("pd", pid), await CountAsync("cq", pid), await CountAsync("qp", pid), await CountAsync("cm_id", pid),
        await CountAsync("mr", pid));

    private static async Task<int> CountAsync(string kind, int pid)
    {
        (int exitCode, string output) = await ChildProcess.RunAsync(
            Executables.OnPath("rdma", "iproute2"), "-j", "resource", "show", kind, "pid", pid.ToString(CultureInfo.InvariantCulture));
        if (exitCode != 0)
        {
            throw new InvalidOperationException($"rdma resource show {kind}: {output}");
        }

        if (string.IsNullOrWhiteSpace(output))
        {
            return 0;
        }

        using JsonDocument document = JsonDocument.Parse(output);
        return document.RootElement.GetArrayLength();
    }
}
