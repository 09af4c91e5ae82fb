using System.Diagnostics;
using System.Globalization;

namespace RdmaMigration.Verbs.Tests.Rdma;

/// <summary>What this process has in the kernel: descriptors of RDMA files, and the resource tracker's objects of its own.</summary>
internal readonly record struct KernelObjects(int Descriptors, int QueuePairs, int CompletionQueues, int MemoryRegions, int Ids, int Domains)
{
    internal static KernelObjects Count() => new(
        Directory.GetFileSystemEntries("/proc/self/fd").Count(IsRdma), Tracked("qp"), Tracked("cq"), Tracked("mr"), Tracked("cm_id"), Tracked("pd"));

    // A descriptor may be closed by another thread while they are listed.
    private static bool IsRdma(string descriptor) =>
        new FileInfo(descriptor).LinkTarget?.Contains("infiniband", StringComparison.Ordinal) ?? false;

    private static int Tracked(string kind)
    {
        ProcessStartInfo start = new("rdma", ["resource", "show", kind]) { RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output.Split('\n').Count(line => line.Split(' ') is var words && Array.IndexOf(words, "pid") is >= 0 and int at && IsOwn(words[at + 1]));
    }

    // The tracker names the thread that made the object. One that is gone was ours: another process takes its objects with it.
    private static bool IsOwn(string thread)
    {
        string status = $"/proc/{thread}/status";
        return !File.Exists(status)
            || File.ReadLines(status).Contains(string.Create(CultureInfo.InvariantCulture, $"Tgid:\t{Environment.ProcessId}"));
    }
}
