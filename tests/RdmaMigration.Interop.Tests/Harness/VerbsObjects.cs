using System.Globalization;
using System.Text.Json;

namespace RdmaMigration.Interop.Harness;

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
