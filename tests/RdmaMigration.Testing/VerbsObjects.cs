using System.Globalization;
using System.Text.Json;

namespace RdmaMigration.Testing;

/// <summary>How many verbs objects the RDMA stack holds, by `rdma resource`.</summary>
public sealed record VerbsObjects(int ProtectionDomains, int CompletionQueues, int QueuePairs, int Ids, int MemoryRegions)
{
    /// <summary>Those of one process, over all devices.</summary>
    public static Task<VerbsObjects> OfAsync(int pid) => OfAsync("pid", pid.ToString(CultureInfo.InvariantCulture));

    /// <summary>Those of all processes and of the kernel, over all devices.</summary>
    public static Task<VerbsObjects> OfAllAsync() => OfAsync([]);

    private static async Task<VerbsObjects> OfAsync(params string[] filter) => new(
        await CountAsync("pd", filter), await CountAsync("cq", filter), await CountAsync("qp", filter), await CountAsync("cm_id", filter),
        await CountAsync("mr", filter));

    private static async Task<int> CountAsync(string kind, string[] filter)
    {
        (int exitCode, string output) = await ChildProcess.RunAsync(Executables.OnPath("rdma", "iproute2"), ["-j", "resource", "show", kind, .. filter]);
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
